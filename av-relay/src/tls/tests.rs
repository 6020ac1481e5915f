use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use hyper::HeaderMap;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use tempfile::tempdir;

use super::{Certificate, CertificateError, CertificateFiles, Proxies};

/// A CA, and what it signs.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        roots
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for `name` in these years, and its key, in `folder`.
    pub(crate) fn issue(&self, folder: &Path, name: &str, years: [i32; 2]) -> CertificateFiles {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        [params.not_before, params.not_after] = years.map(|year| rcgen::date_time_ymd(year, 1, 1));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = CertificateFiles {
            certificate: folder.join("relay.crt"),
            key: folder.join("relay.key"),
            host: ServerName::try_from(name.to_owned()).unwrap(),
        };
        fs::write(&files.certificate, certificate.pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
        files
    }
}

pub(crate) const NOW: [i32; 2] = [2_020, 4_000];

fn refused(files: &CertificateFiles) -> CertificateError {
    files.acceptor(SystemTime::now()).err().expect("a certificate that is not used")
}

#[test]
fn a_certificate_that_devices_would_refuse_is_not_used() {
    let folder = tempdir().unwrap();
    let authority = Authority::new();
    let mut files = authority.issue(folder.path(), "relay.example", NOW);
    files.acceptor(SystemTime::now()).unwrap();
    files.host = ServerName::try_from("other.example").unwrap();
    assert!(matches!(refused(&files), CertificateError::OtherHost { .. }), "{}", refused(&files));
    for years in [[2_020, 2_021], [3_999, 4_000]] {
        let files = authority.issue(folder.path(), "relay.example", years);
        assert!(matches!(refused(&files), CertificateError::OtherTime(_)));
    }
    let files = authority.issue(folder.path(), "relay.example", [1_990, 2_000]);
    let in_1995 = SystemTime::UNIX_EPOCH + Duration::from_secs(25 * 365 * 86_400);
    files.acceptor(in_1995).unwrap();
}

#[test]
fn files_that_hold_something_else_are_named() {
    let folder = tempdir().unwrap();
    let authority = Authority::new();
    let files = authority.issue(folder.path(), "relay.example", NOW);
    let [certificate, key] = [&files.certificate, &files.key].map(|path| fs::read(path).unwrap());

    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refused(&files).to_string().contains("chmod o="), "{}", refused(&files));
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o640)).unwrap();
    files.acceptor(SystemTime::now()).unwrap();
    for other in [b"".as_slice(), b"nothing", &certificate] {
        fs::write(&files.key, other).unwrap();
        assert!(matches!(refused(&files), CertificateError::NoKey(_)), "{}", refused(&files));
    }
    fs::write(&files.key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert!(matches!(refused(&files), CertificateError::OtherKey { .. }), "{}", refused(&files));
    for other in [b"".as_slice(), b"nothing", &key] {
        fs::write(&files.certificate, other).unwrap();
        assert!(matches!(refused(&files), CertificateError::NoCertificate(_)), "{}", refused(&files));
    }
    fs::remove_file(&files.certificate).unwrap();
    assert!(refused(&files).to_string().contains("relay.crt cannot be read"), "{}", refused(&files));
}

#[test]
fn a_new_certificate_that_cannot_be_used_leaves_the_old_one_in_use() {
    let folder = tempdir().unwrap();
    let authority = Authority::new();
    let certificate = Certificate::open(authority.issue(folder.path(), "relay.example", NOW)).unwrap();
    let config = || std::ptr::from_ref(certificate.acceptor().config().as_ref());
    let first = config();
    fs::write(folder.path().join("relay.crt"), "half a cert").unwrap();
    certificate.reload().unwrap_err();
    assert_eq!(config(), first);
    authority.issue(folder.path(), "relay.example", NOW);
    certificate.reload().unwrap();
    assert_ne!(config(), first);
}

#[test]
fn a_proxy_is_believed_from_where_it_is_if_it_says_https_once() {
    let proxies = Proxies::new(vec!["192.0.2.7/32".parse().unwrap(), "2001:db8::/32".parse().unwrap()]);
    let said = |peer: &str, values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-forwarded-proto", value.parse().unwrap());
        }
        proxies.vouch(peer.parse::<IpAddr>().unwrap(), &headers)
    };
    for proxy in ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::5"] {
        assert!(said(proxy, &["https"]), "{proxy}");
        for doubt in
            [&[][..], &["http"], &["https, http"], &["http, https"], &["https", "http"], &["https", "https"]]
        {
            assert!(!said(proxy, doubt), "{doubt:?}");
        }
    }
    for stranger in ["192.0.2.8", "127.0.0.1", "::1", "2001:db9::5", "::ffff:192.0.2.8"] {
        assert!(!said(stranger, &["https"]), "{stranger}");
    }
}
