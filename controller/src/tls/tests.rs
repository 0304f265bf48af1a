//! Certificates are made, kept, renewed and replaced, and a client trusts what it should.

use std::os::unix::fs::PermissionsExt as _;

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConnection,
    pki_types::{ServerName, pem::PemObject as _},
};

use super::*;

/// Whether a client that trusts `authority` completes a handshake with `config` for `name`.
fn shake_hands(config: Arc<ServerConfig>, authority: &[u8], name: &'static str) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority).unwrap())?;
    let client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut client = ClientConnection::new(Arc::new(client), ServerName::try_from(name).unwrap())?;
    let mut server = ServerConnection::new(config)?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut bytes.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut bytes = Vec::new();
        server.write_tls(&mut bytes).unwrap();
        client.read_tls(&mut bytes.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok(())
}

fn own(state: &Path, names: &[&str]) -> Result<Tls, TlsError> {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    Tls::open(Source::Authority(Box::new(Authority::open(state, &names)?)))
}

#[test]
fn the_own_authority_is_trusted_for_its_names_and_no_other() {
    let state = tempfile::tempdir().unwrap();
    let tls = own(state.path(), &["warden.example", "192.0.2.1"]).unwrap();
    let authority = std::fs::read(tls.authority().unwrap()).unwrap();
    let config = tls.config().get_inner();
    for name in ["localhost", "127.0.0.1", "warden.example", "192.0.2.1"] {
        shake_hands(config.clone(), &authority, name).unwrap();
    }
    assert!(shake_hands(config, &authority, "other.example").is_err());
}

#[test]
fn a_restart_keeps_the_authority() {
    let state = tempfile::tempdir().unwrap();
    let first = own(state.path(), &[]).unwrap();
    let authority = std::fs::read(first.authority().unwrap()).unwrap();
    let second = own(state.path(), &[]).unwrap();
    shake_hands(second.config().get_inner(), &authority, "localhost").unwrap();
}

#[test]
fn nobody_else_may_read_the_authoritys_key() {
    let state = tempfile::tempdir().unwrap();
    own(state.path(), &[]).unwrap();
    let mode = |name: &str| std::fs::metadata(state.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("tls/ca.key"), 0o600);
    assert_eq!(mode("tls"), 0o700);
}

#[test]
fn a_broken_key_is_said_with_what_to_do() {
    let state = tempfile::tempdir().unwrap();
    own(state.path(), &[]).unwrap();
    std::fs::write(state.path().join("tls/ca.key"), "rubbish").unwrap();
    let said = own(state.path(), &[]).err().unwrap().to_string();
    assert!(said.contains("ca.key") && said.contains("restore it"), "{said}");
}

#[test]
fn an_authority_of_another_key_is_said_with_what_to_do() {
    let (state, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    own(state.path(), &[]).unwrap();
    own(other.path(), &[]).unwrap();
    std::fs::copy(other.path().join("tls/ca.crt"), state.path().join("tls/ca.crt")).unwrap();
    let said = own(state.path(), &[]).err().unwrap().to_string();
    assert!(said.contains("ca.crt: it is not of ca.key; delete it"), "{said}");
}

#[test]
fn a_name_that_is_none_is_refused() {
    let state = tempfile::tempdir().unwrap();
    let said = own(state.path(), &["not a name"]).err().unwrap().to_string();
    assert_eq!(said, "--tls-name not a name is neither a host name nor an IP address");
}

#[test]
fn the_certificate_is_renewed_long_before_it_expires() {
    let state = tempfile::tempdir().unwrap();
    let mut tls = own(state.path(), &[]).unwrap();
    let first = tls.config().get_inner();
    let now = tls.issued;
    tls.look(now + Duration::from_hours(24 * 29));
    assert!(Arc::ptr_eq(&first, &tls.config().get_inner()));
    tls.look(now + Duration::from_hours(24 * 31));
    assert!(!Arc::ptr_eq(&first, &tls.config().get_inner()));
}

/// Writes a certificate for `localhost` with its key; gives what a client must trust.
fn write_pair(folder: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("tls.crt"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("tls.key"), made.signing_key.serialize_pem()).unwrap();
    made.cert.pem()
}

#[test]
fn changed_files_are_taken_into_use_and_broken_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let first = write_pair(folder.path());
    let pair = Pair::new(&folder.path().join("tls.crt"), &folder.path().join("tls.key"));
    let mut tls = Tls::open(Source::Files(pair)).unwrap();
    shake_hands(tls.config().get_inner(), first.as_bytes(), "localhost").unwrap();

    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    for broken in [other.as_str(), "", "rubbish"] {
        std::fs::write(folder.path().join("tls.key"), broken).unwrap();
        tls.look(SystemTime::now());
        shake_hands(tls.config().get_inner(), first.as_bytes(), "localhost").unwrap();
    }
    std::fs::remove_file(folder.path().join("tls.key")).unwrap();
    tls.look(SystemTime::now());
    shake_hands(tls.config().get_inner(), first.as_bytes(), "localhost").unwrap();

    let second = write_pair(folder.path());
    tls.look(SystemTime::now());
    shake_hands(tls.config().get_inner(), second.as_bytes(), "localhost").unwrap();
}

#[test]
fn a_key_of_another_certificate_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    write_pair(folder.path());
    std::fs::write(folder.path().join("tls.key"), rcgen::KeyPair::generate().unwrap().serialize_pem())
        .unwrap();
    let pair = Pair::new(&folder.path().join("tls.crt"), &folder.path().join("tls.key"));
    assert!(Tls::open(Source::Files(pair)).err().unwrap().to_string().contains("cannot be used"));
}
