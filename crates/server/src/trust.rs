//! Whose certificates are believed: those of the environment, else of the system, else the ones that come with the program.

use crate::error::ServerError;
use std::env::var_os;
use std::path::{Path, PathBuf};
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

/// Where systems keep the authorities that they trust: Debian and Alpine, Red Hat, SUSE, macOS.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The authorities of `SSL_CERT_FILE` and `SSL_CERT_DIR`, as OpenSSL takes them; where neither is set, the system's.
///
/// # Errors
/// A file or a folder that the environment names and that has no certificate.
pub(crate) fn roots() -> Result<RootCerts, ServerError> {
    let named: Vec<PathBuf> =
        ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().filter_map(var_os).map(PathBuf::from).collect();
    let named: Vec<&Path> = named.iter().map(PathBuf::as_path).filter(|path| !path.as_os_str().is_empty()).collect();
    if named.is_empty() {
        // A system's file that cannot be read is not what the user asked for.
        let found = SYSTEM.iter().find_map(|path| certificates(Path::new(path)).ok());
        return Ok(found.map_or(RootCerts::WebPki, RootCerts::from));
    }
    let mut all = Vec::new();
    for path in named {
        all.extend(certificates(path)?);
    }
    Ok(all.into())
}

/// The certificates of a file, or of the files in a folder; at least one.
fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, ServerError> {
    let failed = |problem: String| ServerError::Trust { path: path.to_owned(), problem };
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        let entries = path.read_dir().and_then(Iterator::collect::<Result<Vec<_>, _>>);
        files = entries.map_err(|error| failed(error.to_string()))?.into_iter().map(|entry| entry.path()).collect();
        files.retain(|file| file.is_file());
    }
    let mut found = Vec::new();
    for file in files {
        let bytes = espalier_files::read_input(&file).map_err(|error| failed(error.to_string()))?;
        // Files may hold keys and remarks as well.
        found.extend(parse_pem(&bytes).filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        }));
    }
    if found.is_empty() { Err(failed("it has no certificate in PEM".to_owned())) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use espalier_files::publish_bytes;

    const AUTHORITY: &str = "-----BEGIN CERTIFICATE-----
MIIBiTCCAS+gAwIBAgIUP2ZXFu3o2/+mGJe9oc0SBkPVucUwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOdGVzdCBhdXRob3JpdHkwIBcNMjYxMTI4MDgwMzQ3WhgPMjEy
NjExMDQwODAzNDdaMBkxFzAVBgNVBAMMDnRlc3QgYXV0aG9yaXR5MFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEhs5ZuBY+EwXKFzQOaSEnuTqdqlRStO/1weVQ6pCW
IWRZ0mXL+S6wvRRG2yx4+8bsTCdysUIwzLpe+gONVBKZ/KNTMFEwHQYDVR0OBBYE
FHhzcCzJ6VKy46Jipaeo/dnJm8snMB8GA1UdIwQYMBaAFHhzcCzJ6VKy46Jipaeo
/dnJm8snMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAPEukrD7
xNmxniFe+wDdaqVFsgGA8wm97ncJrN77dfwNAiBq9V8Q8RLwRGVAVJNJCXgYQhxr
LCHjgIaD0utiucGtTA==
-----END CERTIFICATE-----
";

    #[test]
    fn certificates_come_from_files_and_folders() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        publish_bytes(&file, format!("# mine\n{AUTHORITY}{AUTHORITY}").as_bytes()).unwrap();
        assert_eq!(certificates(&file).unwrap().len(), 2);
        publish_bytes(&folder.path().join("README"), b"none here").unwrap();
        assert_eq!(certificates(folder.path()).unwrap().len(), 2);
        for none in [folder.path().join("README"), folder.path().join("nowhere")] {
            let error = certificates(&none).unwrap_err().to_string();
            assert!(error.contains(&*none.to_string_lossy()), "{error}");
        }
    }
}
