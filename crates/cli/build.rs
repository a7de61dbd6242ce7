//! The executables find LibTorch where it was when they were built, and know the revision they were built from.

use std::process::Command;

fn main() {
    // Set by torch-sys, which is a direct dependency for this reason: link flags do not propagate through crates.
    if let Some(folder) = std::env::var_os("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.display());
    }
    println!("cargo:rustc-env=ESPALIER_GIT_REVISION={}", revision().unwrap_or_else(|| "unknown".to_owned()));
    println!("cargo:rerun-if-changed=../../.git/logs/HEAD");
    println!("cargo:rerun-if-changed=build.rs");
}

/// The commit that is checked out; `None` outside a repository.
fn revision() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "HEAD"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
