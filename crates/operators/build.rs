//! Compiles the callback against the headers beside the LibTorch that the bindings were built with.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/count.cpp");
    // Set by torch-sys, which is a direct dependency for this reason.
    let Some(folder) = std::env::var_os("DEP_TCH_LIBTORCH_LIB") else { return };
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.display());
    let include = std::path::Path::new(&folder).parent().map(|folder| folder.join("include")).unwrap_or_default();
    cc::Build::new().cpp(true).std("c++20").warnings(false).include(include).file("src/count.cpp").compile("operators");
}
