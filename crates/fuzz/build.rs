//! The executable and its tests find LibTorch where it was when they were built, with the feature `torch`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Set by torch-sys, which is a direct dependency for this reason: link flags do not propagate through crates.
    if let Some(folder) = std::env::var_os("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.display());
    }
}
