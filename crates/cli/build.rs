//! The executables find LibTorch where it was when they were built, and know the revision they were built from.

use std::process::Command;

fn main() {
    // Set by torch-sys, which is a direct dependency for this reason: link flags do not propagate through crates.
    if let Some(folder) = std::env::var_os("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.display());
    }
    println!("cargo:rustc-env=ESPALIER_GIT_REVISION={}", revision().unwrap_or_else(|| "unknown".to_owned()));
    println!("cargo:rustc-env=ESPALIER_LIBTORCH={}", libtorch().unwrap_or_else(|| "none".to_owned()));
    println!("cargo:rustc-env=ESPALIER_TOKENIZERS={}", locked("tokenizers").unwrap_or_else(|| "unknown".to_owned()));
    println!("cargo:rerun-if-changed=../../Cargo.lock");
    println!("cargo:rerun-if-changed=../../.git/logs/HEAD");
    println!("cargo:rerun-if-changed=build.rs");
}

/// The commit that is checked out; `None` outside a repository.
fn revision() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "HEAD"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The version of LibTorch that is linked, from the file that lies beside its libraries.
fn libtorch() -> Option<String> {
    let libraries = std::path::PathBuf::from(std::env::var_os("DEP_TCH_LIBTORCH_LIB")?);
    let beside = libraries.parent()?;
    let plain = std::fs::read_to_string(beside.join("build-version")).ok();
    let version = plain.or_else(|| {
        let python = std::fs::read_to_string(beside.join("version.py")).ok()?;
        Some(python.lines().find(|line| line.starts_with("__version__"))?.split('\'').nth(1)?.to_owned())
    });
    Some(version?.lines().next()?.trim().to_owned())
}

/// The version of a package in Cargo.lock.
fn locked(package: &str) -> Option<String> {
    let lock = std::fs::read_to_string("../../Cargo.lock").ok()?;
    let name = format!("name = \"{package}\"");
    let line = lock.lines().skip_while(|line| *line != name).nth(1)?;
    Some(line.split('"').nth(1)?.to_owned())
}
