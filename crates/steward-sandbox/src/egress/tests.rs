use super::*;

#[test]
fn no_spelling_of_an_inner_address_is_public() {
    for text in [
        "127.0.0.1",
        "127.255.0.9",
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "192.0.0.192",
        "198.18.0.1",
        "224.0.0.1",
        "239.1.1.1",
        "255.255.255.255",
        "168.63.129.16",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2001::1",
        "2001:0:7f00:1::",
        "2001:db8::1",
        "fe80::1",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "100::1",
        "2600:1::5efe:7f00:1",
        "3fff::1",
    ] {
        let address: IpAddr = text.parse().expect("a test address");
        assert!(!address::is_public(address), "{text} was taken for public");
    }
}

#[test]
fn public_addresses_are_public() {
    for text in [
        "1.1.1.1",
        "8.8.8.8",
        "172.15.0.1",
        "172.32.0.1",
        "100.128.0.1",
        "2606:4700::1111",
        "2a00:1450::1",
        "64:ff9b::808:808",
        "2002:808:808::1",
    ] {
        let address: IpAddr = text.parse().expect("a test address");
        assert!(address::is_public(address), "{text} was refused");
    }
}

fn list(entries: &[&str]) -> Egress {
    let entries: Vec<String> = entries.iter().map(|text| (*text).to_owned()).collect();
    Egress::new(Some(&entries))
}

fn admits(egress: &Egress, host: &str, port: u16, address: &str) -> bool {
    let is_literal = host.parse::<IpAddr>().is_ok();
    egress
        .admit(
            (host, port),
            is_literal,
            vec![SocketAddr::new(address.parse().expect("an address"), port)],
            false,
        )
        .is_ok()
}

#[test]
fn a_list_admits_the_hosts_that_it_names_and_no_others() {
    let egress = list(&["api.example.com", "*.example.org", "only.example.net:8443"]);
    assert!(admits(&egress, "api.example.com", 443, "1.1.1.1"));
    assert!(admits(&egress, "API.example.com.", 80, "1.1.1.1"));
    assert!(admits(&egress, "a.b.example.org", 443, "1.1.1.1"));
    assert!(admits(&egress, "only.example.net", 8443, "1.1.1.1"));
    for (host, port) in [
        ("example.com", 443),
        ("xapi.example.com", 443),
        ("example.org", 443),
        ("evilexample.org", 443),
        ("only.example.net", 443),
    ] {
        assert!(!admits(&egress, host, port, "1.1.1.1"), "{host}:{port}");
    }
}

#[test]
fn a_name_at_a_private_address_is_refused_unless_the_list_names_the_address() {
    assert!(!admits(&list(&["api.example.com"]), "api.example.com", 9000, "127.0.0.1"));
    let egress = list(&["api.example.com", "127.0.0.1:9000"]);
    assert!(admits(&egress, "api.example.com", 9000, "127.0.0.1"));
    assert!(admits(&egress, "127.0.0.1", 9000, "127.0.0.1"));
    assert!(!admits(&egress, "api.example.com", 9001, "127.0.0.1"));
    assert!(!admits(&egress, "127.0.0.1", 9001, "127.0.0.1"));
}

#[test]
fn an_empty_list_admits_nothing() {
    assert!(!admits(&list(&[]), "api.example.com", 443, "1.1.1.1"));
}

#[test]
fn printed_addresses_hold_no_secrets() {
    let url = Url::parse("https://user:secret@host.example/path?key=secret#secret").expect("an address");
    assert_eq!(printable(&url), "https://host.example/path");
    assert_eq!(printable_text("http://user:secret@[bad/?key=secret"), "[bad/");
}
