//! The tests find LibTorch where it was when they were built.

fn main() {
    // Set by torch-sys, which is a direct dependency for this reason: link flags do not propagate through crates.
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    if let Some(folder) = std::env::var_os("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.display());
    }
}
