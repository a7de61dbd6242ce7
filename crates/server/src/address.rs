//! Where the servers are and which model they are asked for.

use crate::error::ServerError;
use crate::exceptions::address_of;
use std::net::IpAddr;
use ureq::http::Uri;

/// Servers of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    /// Base addresses, each up to and including `/v1`.
    pub(crate) urls: Vec<String>,
    /// The model's name, if one is given; else the servers' only model.
    pub(crate) model: Option<String>,
}

impl Servers {
    /// Whether a text is meant as a server's address and not as a folder.
    pub fn is_address(text: &str) -> bool {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        scheme.is_some_and(|scheme| scheme == "http" || scheme == "https")
    }

    /// Reads `http://host:port`, `http://host:port/v1` or `http://host:port#model`, each alone or several with commas
    /// between. `/v1` is added where it is missing; the model may be named at any of them and holds for all.
    ///
    /// # Errors
    /// [`ServerError::Address`] with the address that is none, that comes twice, or that names another model.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Servers, ServerError> {
        let mut servers = Servers { urls: Vec::new(), model: None };
        for text in texts.into_iter().flat_map(|text| text.split(',')).map(str::trim) {
            let wrong = |problem: String| ServerError::Address { text: text.to_owned(), problem };
            let (address, model) = match text.split_once('#') {
                Some((address, model)) => (address, Some(model)),
                None => (text, None),
            };
            let url = base(address).map_err(wrong)?;
            if servers.urls.contains(&url) {
                return Err(wrong("it is there twice".to_owned()));
            }
            servers.urls.push(url);
            let Some(model) = model else { continue };
            if model.is_empty() {
                return Err(wrong("the model's name after # is empty".to_owned()));
            }
            match &servers.model {
                Some(other) if other != model => {
                    return Err(wrong(format!("its model is not {other:?}, which another address names")));
                }
                _ => servers.model = Some(model.to_owned()),
            }
        }
        Ok(servers)
    }
}

/// Whether a request to this address stays on this machine.
pub(crate) fn is_of_this_machine(url: &str) -> bool {
    let uri: Option<Uri> = url.parse().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    // 0.0.0.0 is what servers print that listen everywhere.
    let is_here = |address: IpAddr| address.is_loopback() || address.is_unspecified();
    host.trim_end_matches('.').eq_ignore_ascii_case("localhost") || address_of(host).is_some_and(is_here)
}

/// Whether what is sent to this address can be read on its way.
pub(crate) fn is_open_to_others(url: &str) -> bool {
    !url.to_ascii_lowercase().starts_with("https://") && !is_of_this_machine(url)
}

/// The address up to `/v1`.
fn base(address: &str) -> Result<String, String> {
    if !Servers::is_address(address) {
        return Err("it begins with neither http:// nor https://".to_owned());
    }
    let uri: Uri = address.parse().map_err(|error| format!("{error}"))?;
    if uri.host().is_none_or(str::is_empty) {
        return Err("it has no host".to_owned());
    }
    let has_port = uri.authority().is_some_and(|authority| !authority.as_str().ends_with(authority.host()));
    if has_port && uri.port_u16().is_none() {
        return Err("its port is no number below 65536".to_owned());
    }
    if uri.query().is_some() {
        return Err("it has a query (?)".to_owned());
    }
    let address = address.trim_end_matches('/');
    let address = address.strip_suffix("/completions").unwrap_or(address);
    Ok(if address.ends_with("/v1") { address.to_owned() } else { format!("{address}/v1") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[&str]) -> Result<Servers, String> {
        Servers::parse(texts.iter().copied()).map_err(|error| error.to_string())
    }

    #[test]
    fn addresses_are_completed() {
        for text in ["http://a:8000", "http://a:8000/", "http://a:8000/v1", "http://a:8000/v1/completions"] {
            assert_eq!(parse(&[text]).unwrap().urls, ["http://a:8000/v1"], "{text}");
        }
        let one = parse(&["http://a:8000,https://b/llm/v1#org/model", "http://[::1]:3"]).unwrap();
        assert_eq!(one.urls, ["http://a:8000/v1", "https://b/llm/v1", "http://[::1]:3/v1"]);
        assert_eq!(one.model.as_deref(), Some("org/model"));
    }

    #[test]
    fn only_this_machine_and_https_keep_a_secret() {
        for open in ["http://a/v1", "HTTP://10.0.0.1:8000/v1", "http://127.example.org/v1", "http://[fe80::1]/v1"] {
            assert!(is_open_to_others(open), "{open}");
        }
        for kept in ["https://a/v1", "http://127.0.0.1:8000/v1", "http://127.1.2.3/v1", "http://[::1]:3/v1"] {
            assert!(!is_open_to_others(kept), "{kept}");
        }
        for here in ["http://localhost:8000/v1", "http://LOCALHOST/v1", "http://0.0.0.0:8000/v1", "http://[::]:1/v1"] {
            assert!(!is_open_to_others(here) && is_of_this_machine(here), "{here}");
        }
    }

    #[test]
    fn what_is_no_address_is_named() {
        let cases: [(&[&str], &str); 7] = [
            (&["http://a:1,localhost:2"], "\"localhost:2\""),
            (&["http://"], "\"http://\""),
            (&["http://a:port"], "\"http://a:port\""),
            (&["http://a:1?x=1"], "query"),
            (&["http://a:1#"], "empty"),
            (&["http://a:1", "http://a:1/v1"], "twice"),
            (&["http://a:1#x,http://b:1#y"], "not \"x\""),
        ];
        for (texts, words) in cases {
            let error = parse(texts).unwrap_err();
            assert!(error.contains(words), "{words} is not in: {error}");
        }
        assert!(
            Servers::is_address("HTTP://a") && !Servers::is_address("data/policy") && !Servers::is_address("s3://a")
        );
    }
}
