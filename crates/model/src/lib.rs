//! The differentiable transformer, its files, KV cache and value head
