//! Lets tests and examples find the `LibTorch` libraries where they were found when they were built.

fn main() {
    // From torch-sys (`links = "tch"`), a direct dependency for this reason: link flags do not propagate through crates.
    if let Some(folder) = std::env::var_os("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.display());
    }
    println!("cargo:rerun-if-changed=build.rs");
}
