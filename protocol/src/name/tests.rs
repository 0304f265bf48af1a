use super::*;

fn normal(text: &str) -> Result<String, NameError> {
    let mut buffer = String::from("left over");
    normalize(text, &mut buffer).map(str::to_owned)
}

#[test]
fn case_and_the_trailing_dot_do_not_matter() {
    assert_eq!(normal("WwW.Evil.Example."), Ok("www.evil.example".to_owned()));
}

#[test]
fn unicode_and_ace_spell_the_same_name() {
    let ace = normal("XN--Bcher-KVA.example");
    assert_eq!(ace, Ok("xn--bcher-kva.example".to_owned()));
    assert_eq!(normal("Bücher.example"), ace);
    assert_eq!(normal("BÜCHER。example"), ace, "the ideographic full stop separates labels too");
    assert_eq!(normal("bu\u{308}cher.example."), ace, "composed or not");
}

#[test]
fn punycode_that_decodes_to_nothing_is_refused() {
    assert_eq!(normal("xn--999999999.example"), Err(NameError::Idna));
    assert_eq!(normal("xn--.example"), Err(NameError::Idna));
}

#[test]
fn a_label_that_ace_would_spell_plainly_is_refused() {
    assert_eq!(normal("xn--example-.com"), Err(NameError::Idna));
}

#[test]
fn underscores_and_hyphens_at_the_ends_are_let_through() {
    for name in ["_dmarc.example.com", "-evil.example.com", "evil-.example.com", "r3---sn-a.example.com"] {
        assert_eq!(normal(name).as_deref(), Ok(name));
    }
}

#[test]
fn addresses_and_networks_are_named_as_such() {
    for text in ["192.0.2.1", "2001:db8::1", "[2001:db8::1]", "192.0.2.0/24", "2001:db8::/32", "::"] {
        assert_eq!(normal(text), Err(NameError::Address), "{text}");
    }
}

#[test]
fn a_number_at_the_end_is_no_name() {
    assert_eq!(normal("1.2.3"), Err(NameError::NumericEnd));
    assert_eq!(normal("example.123"), Err(NameError::NumericEnd));
    assert_eq!(normal("300.300.300.300"), Err(NameError::NumericEnd));
    assert!(normal("123.example").is_ok());
}

#[test]
fn empty_names_and_labels_are_refused() {
    assert_eq!(normal(""), Err(NameError::Empty));
    assert_eq!(normal("."), Err(NameError::Empty));
    for text in ["..", ".example.com", "a..example.com", "example.com.."] {
        assert_eq!(normal(text), Err(NameError::EmptyLabel), "{text}");
    }
}

#[test]
fn lengths_are_those_of_the_dns() {
    let label = "a".repeat(63);
    assert!(normal(&format!("{label}.example")).is_ok());
    assert_eq!(normal(&format!("{label}a.example")), Err(NameError::LabelTooLong));
    let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
    assert_eq!(longest.len(), NAME_BYTES_MAX);
    assert!(normal(&longest).is_ok());
    assert!(normal(&format!("{longest}.")).is_ok());
    assert_eq!(normal(&format!("{longest}a")), Err(NameError::NameTooLong));
    assert_eq!(normal(&"a.".repeat(5_000)), Err(NameError::NameTooLong));
}

#[test]
fn a_unicode_label_is_measured_as_it_stands_on_the_wire() {
    assert_eq!(normal(&format!("{}.example", "ü".repeat(63))), Err(NameError::LabelTooLong));
}

#[test]
fn wildcards_spaces_and_other_characters_have_reasons_of_their_own() {
    assert_eq!(normal("a.*.example.com"), Err(NameError::Wildcard));
    assert_eq!(normal("two words.example"), Err(NameError::Space));
    for text in ["http://example.com/", "a@example.com", "example.com,", "a\u{0}.example", "example.com:53"] {
        assert_eq!(normal(text), Err(NameError::Character), "{text:?}");
    }
}

#[test]
fn one_label_is_a_name_only_where_it_is_a_top_level_domain() {
    assert_eq!(normal("COM.").as_deref(), Ok("com"));
    assert_eq!(normal("рф").as_deref(), Ok("xn--p1ai"));
    for text in ["localhost", "x", "broadcasthost"] {
        assert_eq!(normal(text), Err(NameError::SingleLabel), "{text}");
        assert_eq!(fold(text, &mut String::new()), Ok(text));
    }
}

proptest::proptest! {
    #[test]
    fn what_is_normal_stays_as_it_is(text in "\\PC{0,40}") {
        if let Ok(once) = normal(&text) {
            proptest::prop_assert_eq!(normal(&once), Ok(once));
        }
    }

    #[test]
    fn a_normal_name_has_only_bytes_of_a_host_name(text in "[\\x00-\\x7f]{0,300}") {
        if let Ok(name) = normal(&text) {
            proptest::prop_assert!(name.len() <= NAME_BYTES_MAX);
            proptest::prop_assert!(
                name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
            );
        }
    }
}
