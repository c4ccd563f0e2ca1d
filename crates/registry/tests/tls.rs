//! HTTPS against the reference registry, with certificates made for the test.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod support;

mod privileged_tls {
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use creel_base::hint::Hint;
    use creel_registry::certs::CertSources;
    use creel_registry::client::RetryPolicy;
    use creel_registry::credentials::Anonymous;
    use creel_registry::http::TlsPolicy;
    use creel_registry::{Client, Config, Error};
    use tempfile::TempDir;

    use crate::support::DockerRegistry;

    fn openssl(directory: &Path, name: &str, arguments: &[&str]) {
        let output = Command::new("openssl")
            .current_dir(directory)
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(["-nodes", "-days", "2", "-subj", &format!("/CN=creel test {name}")])
            .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.crt")])
            .args(arguments)
            .output()
            .unwrap_or_else(|e| panic!("openssl: {e}; run `apt install openssl`"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Makes `ca`, and `server` (for 127.0.0.1) and `client` signed by it: each a `.crt` and `.key`.
    fn certificates() -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        let signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-addext", "basicConstraints=CA:FALSE"];
        openssl(directory.path(), "ca", &[]);
        let server = [&signed[..], &["-addext", "subjectAltName=IP:127.0.0.1"]].concat();
        openssl(directory.path(), "server", &server);
        let client = [&signed[..], &["-addext", "extendedKeyUsage=clientAuth"]].concat();
        openssl(directory.path(), "client", &client);
        directory
    }

    fn start(pki: &Path, more: &str) -> DockerRegistry {
        let (certificate, key) = (pki.join("server.crt"), pki.join("server.key"));
        DockerRegistry::start(&format!("{{certificate: {certificate:?}, key: {key:?}{more}}}"))
    }

    /// Fills `certs.d/HOST` with copies of `files` under new names.
    fn certs_d(pki: &Path, host: &str, files: &[(&str, &str)]) -> (TempDir, CertSources) {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join(host);
        fs::create_dir(&directory).unwrap();
        for (from, to) in files {
            fs::copy(pki.join(from), directory.join(to)).unwrap();
        }
        let certs_d = vec!["/nonexistent".into(), root.path().to_owned()];
        (root, CertSources { certs_d, bundle: None })
    }

    fn ping(host: &str, certs: CertSources, tls: TlsPolicy) -> Result<(), Error> {
        let retry = RetryPolicy { attempts: 0, ..RetryPolicy::default() };
        let config = Config { certs, retry, ..Config::default() };
        Client::new(config, Box::new(Anonymous)).repository(host, "a", tls).ping()
    }

    #[test]
    fn an_unknown_authority_is_refused_with_the_way_out() {
        let pki = certificates();
        let registry = start(pki.path(), "");
        let host = registry.address();
        let error = ping(host, CertSources::default(), TlsPolicy::Verify).unwrap_err();
        assert!(matches!(error, Error::Tls { .. }), "{error:?}");
        let hint = error.hint().unwrap();
        assert!(hint.contains(&format!("certs.d/{host}/ca.crt")), "{hint}");
        assert!(hint.contains("--tls-verify=false"), "{hint}");
        ping(host, CertSources::default(), TlsPolicy::AllowInsecure).unwrap();
    }

    #[test]
    fn certs_d_and_a_bundle_are_trusted() {
        let pki = certificates();
        let registry = start(pki.path(), "");
        let host = registry.address();
        let (_d, certs) = certs_d(pki.path(), host, &[("ca.crt", "ca.crt")]);
        ping(host, certs, TlsPolicy::Verify).unwrap();
        let (_d, certs) = certs_d(pki.path(), "other.example", &[("ca.crt", "ca.crt")]);
        assert!(matches!(ping(host, certs, TlsPolicy::Verify), Err(Error::Tls { .. })));
        let certs = CertSources { certs_d: vec![], bundle: Some(pki.path().join("ca.crt")) };
        ping(host, certs.clone(), TlsPolicy::Verify).unwrap();
        // The certificate is for the address, not for the name.
        let host = host.replace("127.0.0.1", "localhost");
        assert!(matches!(ping(&host, certs, TlsPolicy::Verify), Err(Error::Tls { .. })));
    }

    #[test]
    fn a_client_certificate_is_shown() {
        let pki = certificates();
        let registry =
            start(pki.path(), &format!(", clientcas: [{:?}]", pki.path().join("ca.crt")));
        let host = registry.address();
        let ca = ("ca.crt", "ca.crt");
        let (_d, certs) = certs_d(pki.path(), host, &[ca]);
        let error = ping(host, certs, TlsPolicy::Verify).unwrap_err();
        assert!(error.hint().unwrap().contains("client.cert"), "{error:?}");
        let pair = [ca, ("client.crt", "client.cert"), ("client.key", "client.key")];
        let (_d, certs) = certs_d(pki.path(), host, &pair);
        ping(host, certs, TlsPolicy::Verify).unwrap();
        let (_d, certs) = certs_d(pki.path(), host, &[ca, ("client.crt", "client.cert")]);
        let error = ping(host, certs, TlsPolicy::Verify).unwrap_err();
        assert!(matches!(error, Error::Certificate { .. }), "{error}");
    }
}
