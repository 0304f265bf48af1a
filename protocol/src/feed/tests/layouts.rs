//! Lists as they are published: what comes out of each.

use super::*;

fn csv(settings: &CsvSettings, urls: Urls) -> Options {
    Options { format: Format::Csv, csv: Csv::try_from(settings).unwrap(), urls, ..Options::default() }
}

fn comments(field_num: u32) -> CsvSettings {
    CsvSettings {
        field_num: Some(field_num),
        comment_delimiter: Some("#".to_owned()),
        ..CsvSettings::default()
    }
}

#[test]
fn urlhaus_hosts_file() {
    insta::assert_snapshot!(auto(include_bytes!("../fixtures/urlhaus-hosts.txt")));
}

#[test]
fn urlhaus_dump_of_urls() {
    let text = include_bytes!("../fixtures/urlhaus.csv");
    insta::assert_snapshot!(render(text, &csv(&comments(2), Urls::Host)));
}

#[test]
fn urlhaus_dump_without_leave_to_take_hosts_is_refused() {
    let text = include_bytes!("../fixtures/urlhaus.csv");
    insta::assert_snapshot!(render(text, &csv(&comments(2), Urls::Reject)));
}

#[test]
fn hagezi_adblock() {
    insta::assert_snapshot!(auto(include_bytes!("../fixtures/hagezi-adblock.txt")));
}

#[test]
fn hagezi_hosts() {
    insta::assert_snapshot!(auto(include_bytes!("../fixtures/hagezi-hosts.txt")));
}

#[test]
fn hagezi_dnsmasq() {
    insta::assert_snapshot!(auto(include_bytes!("../fixtures/hagezi-dnsmasq.conf")));
}

#[test]
fn hagezi_rpz() {
    insta::assert_snapshot!(auto(include_bytes!("../fixtures/hagezi-rpz.zone")));
}

#[test]
fn hagezi_wildcard() {
    insta::assert_snapshot!(auto(include_bytes!("../fixtures/hagezi-wildcard.txt")));
}

#[test]
fn oisd_wildcard() {
    insta::assert_snapshot!(auto(include_bytes!("../fixtures/oisd.txt")));
}

#[test]
fn stevenblack_hosts() {
    insta::assert_snapshot!(auto(include_bytes!("../fixtures/stevenblack.txt")));
}

#[test]
fn phishtank_json() {
    let json = "$[*].url".parse().unwrap();
    let options = Options { format: Format::Json, json, urls: Urls::Host, ..Options::default() };
    insta::assert_snapshot!(render(include_bytes!("../fixtures/phishtank.json"), &options));
}

#[test]
fn phishtank_csv() {
    let settings = CsvSettings { field_name: Some("url".to_owned()), header: true, ..CsvSettings::default() };
    insta::assert_snapshot!(render(include_bytes!("../fixtures/phishtank.csv"), &csv(&settings, Urls::Host)));
}

#[test]
fn threatfox_csv() {
    insta::assert_snapshot!(render(
        include_bytes!("../fixtures/threatfox.csv"),
        &csv(&comments(2), Urls::Host)
    ));
}
