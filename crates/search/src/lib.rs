//! Monte-Carlo tree search over steps, given a policy and a judge
