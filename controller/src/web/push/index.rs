//! Which index names mean the threat feeds of this cluster, and what Elasticsearch would resolve them to.
//!
//! The alias `tigera_secure_ee_threatfeeds_domainnameset.<cluster>.`, the date-math name
//! `<tigera_secure_ee_threatfeeds_domainnameset.<cluster>.linseed-{now/s{yyyyMMdd}}-000001>`, what that resolves to, and
//! the older `.tigera.domainnameset.<cluster>`.

use jiff::{Timestamp, tz::TimeZone};

const DOMAINS: &str = "tigera_secure_ee_threatfeeds_domainnameset.";
const ADDRESSES: &str = "tigera_secure_ee_threatfeeds_ipset.";
const OLD_DOMAINS: &str = ".tigera.domainnameset.";
const OLD_ADDRESSES: &str = ".tigera.ipset.";
const WRITER: &str = ".linseed-";
const DATE_MATH: &str = "{now/s{yyyyMMdd}}";

/// Why a name is no index here: what is said behind Elasticsearch's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Feeds of another cluster.
    Cluster {
        /// The cluster that it names.
        named: String,
    },
    /// Feeds of addresses.
    Addresses,
    /// Something else.
    Foreign,
}

/// The concrete index behind a name.
pub fn resolve(name: &str, cluster: &str, now: Timestamp) -> Result<String, Unknown> {
    let today = || now.to_zoned(TimeZone::UTC).strftime("%Y%m%d").to_string();
    let concrete = |date: &str, number: &str| format!("{DOMAINS}{cluster}{WRITER}{date}-{number}");
    if let Some(named) = name.strip_prefix(OLD_DOMAINS) {
        return of_cluster(named, cluster).map(|()| name.to_owned());
    }
    if let Some(math) = name.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
        let rest = math.strip_prefix(DOMAINS).ok_or_else(|| foreign(math))?;
        let (named, rest) = rest.split_once(WRITER).ok_or(Unknown::Foreign)?;
        of_cluster(named, cluster)?;
        let number =
            rest.strip_prefix(DATE_MATH).and_then(|rest| rest.strip_prefix('-')).ok_or(Unknown::Foreign)?;
        return if is_digits(number, 6) { Ok(concrete(&today(), number)) } else { Err(Unknown::Foreign) };
    }
    let rest = name.strip_prefix(DOMAINS).ok_or_else(|| foreign(name))?;
    if let Some((named, rest)) = rest.split_once(WRITER) {
        of_cluster(named, cluster)?;
        let (date, number) = rest.split_once('-').ok_or(Unknown::Foreign)?;
        let fits = is_digits(date, 8) && is_digits(number, 6);
        return if fits { Ok(concrete(date, number)) } else { Err(Unknown::Foreign) };
    }
    of_cluster(rest.strip_suffix('.').unwrap_or(rest), cluster)?;
    Ok(concrete(&today(), "000001"))
}

impl Unknown {
    /// What to do instead.
    pub fn hint(&self, cluster: &str) -> String {
        match self {
            Self::Cluster { named } => {
                format!(
                    "this controller serves cluster [{cluster}], not [{named}]; its index is [{DOMAINS}{cluster}.]"
                )
            }
            Self::Addresses => {
                "feeds of addresses cannot be pushed here, only feeds of domain names".to_owned()
            }
            Self::Foreign => format!("the one index here is [{DOMAINS}{cluster}.]"),
        }
    }
}

fn of_cluster(named: &str, cluster: &str) -> Result<(), Unknown> {
    if named == cluster { Ok(()) } else { Err(Unknown::Cluster { named: named.chars().take(100).collect() }) }
}

fn foreign(name: &str) -> Unknown {
    let addresses = name.starts_with(ADDRESSES) || name.starts_with(OLD_ADDRESSES);
    if addresses { Unknown::Addresses } else { Unknown::Foreign }
}

fn is_digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONCRETE: &str = "tigera_secure_ee_threatfeeds_domainnameset.cluster.linseed-20261127-000001";

    fn resolved(name: &str) -> Result<String, Unknown> {
        resolve(name, "cluster", "2026-11-27T23:59:59Z".parse().unwrap())
    }

    #[test]
    fn each_spelling_of_the_index_is_known() {
        for name in [
            "tigera_secure_ee_threatfeeds_domainnameset.cluster.",
            "tigera_secure_ee_threatfeeds_domainnameset.cluster",
            "<tigera_secure_ee_threatfeeds_domainnameset.cluster.linseed-{now/s{yyyyMMdd}}-000001>",
            CONCRETE,
        ] {
            assert_eq!(resolved(name).as_deref(), Ok(CONCRETE), "{name}");
        }
        assert_eq!(resolved(".tigera.domainnameset.cluster").as_deref(), Ok(".tigera.domainnameset.cluster"));
        let older = CONCRETE.replace("20261127-000001", "20250101-000042");
        assert_eq!(resolved(&older), Ok(older.clone()));
    }

    #[test]
    fn another_clusters_index_is_told_apart() {
        let other = Unknown::Cluster { named: "prod".to_owned() };
        for name in [
            "tigera_secure_ee_threatfeeds_domainnameset.prod.",
            "<tigera_secure_ee_threatfeeds_domainnameset.prod.linseed-{now/s{yyyyMMdd}}-000001>",
            "tigera_secure_ee_threatfeeds_domainnameset.prod.linseed-20261127-000001",
            ".tigera.domainnameset.prod",
        ] {
            assert_eq!(resolved(name), Err(other.clone()), "{name}");
        }
        let hint = other.hint("cluster");
        assert!(hint.contains("[tigera_secure_ee_threatfeeds_domainnameset.cluster.]"), "{hint}");
    }

    #[test]
    fn a_cluster_with_dots_and_dashes_is_known() {
        let name = "<tigera_secure_ee_threatfeeds_domainnameset.eu-1.prod.linseed-{now/s{yyyyMMdd}}-000001>";
        assert!(
            resolve(name, "eu-1.prod", Timestamp::UNIX_EPOCH)
                .unwrap()
                .ends_with("eu-1.prod.linseed-19700101-000001")
        );
    }

    #[test]
    fn other_indices_are_foreign() {
        assert_eq!(resolved("tigera_secure_ee_threatfeeds_ipset.cluster."), Err(Unknown::Addresses));
        assert_eq!(resolved(".tigera.ipset.cluster"), Err(Unknown::Addresses));
        for name in [
            "",
            "logs",
            "<tigera_secure_ee_threatfeeds_domainnameset.cluster.linseed-{now/d}-000001>",
            "<tigera_secure_ee_threatfeeds_domainnameset.cluster.>",
            "tigera_secure_ee_threatfeeds_domainnameset.cluster.linseed-2026-1",
        ] {
            assert_eq!(resolved(name), Err(Unknown::Foreign), "{name}");
        }
    }
}
