//! Hosts that are spoken to without the proxy that the environment names.

use std::net::IpAddr;
use ureq::http::Uri;

/// The entries of `NO_PROXY`, which curl, requests and httpx read alike: names with all below them, addresses, ranges of
/// addresses, `*` for all; each with a port or without, with blanks around it or without, in small or capital letters.
#[derive(Debug, Default)]
pub(crate) struct Exceptions(Vec<String>);

impl Exceptions {
    /// Those of the environment.
    pub fn of_environment() -> Exceptions {
        let named = ["NO_PROXY", "no_proxy"].into_iter().find_map(|name| std::env::var(name).ok());
        Exceptions::parse(&named.unwrap_or_default())
    }

    fn parse(text: &str) -> Exceptions {
        let entries = text.split(',').map(|entry| entry.trim().to_ascii_lowercase());
        Exceptions(entries.filter(|entry| !entry.is_empty()).collect())
    }

    /// Whether one of them is the host of this address.
    pub fn cover(&self, url: &str) -> bool {
        let Ok(uri) = url.parse::<Uri>() else { return false };
        let host = uri.host().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        self.0.iter().any(|entry| covers(entry, &host, port))
    }
}

/// The address that a host is, with brackets or without.
pub(crate) fn address_of(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host).parse().ok()
}

fn covers(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some((network, bits)) = entry.split_once('/') {
        let bits = bits.parse().ok();
        return matches!((address_of(network), bits, address_of(host)), (Some(a), Some(bits), Some(b)) if is_within(a, bits, b));
    }
    // The colons of a bare address of version 6 name no port.
    let (name, of_port) = match entry.rsplit_once(':') {
        Some((name, digits)) if address_of(entry).is_none() => (name, digits.parse().ok()),
        _ => (entry, Some(port)),
    };
    if of_port != Some(port) {
        return false;
    }
    if let Some(address) = address_of(name) {
        return address_of(host) == Some(address);
    }
    let name = name.strip_prefix('*').unwrap_or(name);
    let name = name.strip_prefix('.').unwrap_or(name);
    host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
}

/// Whether an address has the first `bits` bits of a network.
fn is_within(network: IpAddr, bits: u32, address: IpAddr) -> bool {
    let (network, address, length) = match (network, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return false,
    };
    bits <= length && (network ^ address).checked_shr(length - bits).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_cover_names_addresses_and_ranges() {
        let covered = [
            ("localhost, vm", "http://vm:18100/v1"),
            ("VM", "http://vm/v1"),
            ("vm", "http://VM:80/v1"),
            ("vm:18100", "http://vm:18100/v1"),
            ("example.org", "https://a.example.org/v1"),
            (".example.org", "https://a.b.example.org/v1"),
            ("*.example.org", "https://a.example.org/v1"),
            ("10.0.0.0/8", "http://10.200.3.4:8000/v1"),
            ("0.0.0.0/0", "http://8.8.8.8/v1"),
            ("192.168.1.64/26", "http://192.168.1.127/v1"),
            ("fd00::/8", "http://[fdab::1]:8000/v1"),
            ("::1", "http://[::1]:3/v1"),
            ("[::1]:3", "http://[::1]:3/v1"),
            ("a,*", "http://anything/v1"),
            ("host:443", "https://host/v1"),
        ];
        for (entries, url) in covered {
            assert!(Exceptions::parse(entries).cover(url), "{entries} {url}");
        }
        let others = [
            ("", "http://vm/v1"),
            ("vm:18100", "http://vm:18101/v1"),
            ("example.org", "http://badexample.org/v1"),
            ("10.0.0.0/8", "http://11.0.0.1/v1"),
            ("192.168.1.64/26", "http://192.168.1.128/v1"),
            ("10.0.0.0/33", "http://10.0.0.1/v1"),
            ("10.0.0.0/8", "http://[::a00:1]/v1"),
            ("::1", "http://[::2]/v1"),
        ];
        for (entries, url) in others {
            assert!(!Exceptions::parse(entries).cover(url), "{entries} {url}");
        }
    }
}
