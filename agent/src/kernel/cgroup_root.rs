//! The cgroup2 hierarchy: found by itself in `/proc/self/mountinfo` (in a hybrid hierarchy that is the `unified` mount),
//! or checked where the operator names it.

use std::{
    ffi::OsString,
    fs,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use rustix::fs::statfs;

use super::error::KernelError;

const MOUNTINFO: &str = "/proc/self/mountinfo";

/// `CGROUP2_SUPER_MAGIC` (`linux/magic.h`).
const CGROUP2_MAGIC: u64 = 0x6367_7270;

/// Every cgroup has this file, except the root of the hierarchy (`cgroup-v2` documentation, "Core Interface Files").
const NOT_IN_ROOT: &str = "cgroup.type";

/// The directory to attach to.
pub fn find(named: Option<&Path>) -> Result<PathBuf, KernelError> {
    match named {
        Some(path) => check(path),
        None => choose(&mounts()?, |path| !path.join(NOT_IN_ROOT).exists()),
    }
}

fn mounts() -> Result<Vec<PathBuf>, KernelError> {
    let text = fs::read(MOUNTINFO)
        .map_err(|reason| KernelError::Machine { what: "reading /proc/self/mountinfo", reason })?;
    Ok(cgroup2_mounts(&text))
}

/// The first mount that shows the whole hierarchy.
fn choose(mounts: &[PathBuf], is_whole: impl Fn(&Path) -> bool) -> Result<PathBuf, KernelError> {
    if let Some(whole) = mounts.iter().find(|path| is_whole(path)) {
        return Ok(whole.clone());
    }
    match mounts.first() {
        Some(part) => Err(KernelError::PartOfCgroup2 { path: part.clone() }),
        None => Err(KernelError::NoCgroup2),
    }
}

/// A directory that the operator names may be a part of the hierarchy: then that part is captured.
fn check(path: &Path) -> Result<PathBuf, KernelError> {
    let hint = || match mounts().ok().and_then(|mounts| mounts.into_iter().next()) {
        Some(mount) => format!("; this machine's is {}", mount.display()),
        None => "; none is mounted here".to_owned(),
    };
    let found = statfs(path).map_err(|errno| KernelError::CgroupRoot {
        path: path.to_path_buf(),
        reason: errno.into(),
        hint: hint(),
    })?;
    // The field's type differs between platforms.
    if u64::try_from(found.f_type).ok() != Some(CGROUP2_MAGIC) || !path.is_dir() {
        return Err(KernelError::NotCgroup2 { path: path.to_path_buf(), hint: hint() });
    }
    Ok(path.to_path_buf())
}

/// Mount points of type cgroup2, in their order (proc(5): the type follows the separator).
fn cgroup2_mounts(mountinfo: &[u8]) -> Vec<PathBuf> {
    mountinfo.split(|byte| *byte == b'\n').filter_map(cgroup2_mount).collect()
}

fn cgroup2_mount(line: &[u8]) -> Option<PathBuf> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let separator = fields.iter().position(|field| *field == b"-")?;
    if *fields.get(separator + 1)? != b"cgroup2" {
        return None;
    }
    Some(PathBuf::from(OsString::from_vec(unescape(fields.get(4)?))))
}

/// Space, tab, newline and backslash are written as a backslash and three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..3).filter(|_| byte == b'\\').and_then(octal);
        plain.push(code.unwrap_or(byte));
        rest = if code.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    plain
}

fn octal(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &[u8] = b"31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
        40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";

    #[test]
    fn a_hybrid_hierarchy_has_its_cgroup2_at_unified() {
        assert_eq!(cgroup2_mounts(HYBRID), [PathBuf::from("/sys/fs/cgroup/unified")]);
    }

    #[test]
    fn an_escaped_mount_point_is_read() {
        let line = b"41 31 0:38 / /run/my\\040groups\\134x rw - cgroup2 cgroup2 rw\n";
        assert_eq!(cgroup2_mounts(line), [PathBuf::from("/run/my groups\\x")]);
    }

    #[test]
    fn a_machine_without_cgroup2_is_told_so() {
        assert!(matches!(choose(&[], |_| true), Err(KernelError::NoCgroup2)));
    }

    #[test]
    fn the_mount_that_shows_the_whole_hierarchy_is_chosen() {
        let mounts = [PathBuf::from("/part"), PathBuf::from("/whole")];
        let chosen = choose(&mounts, |path| path.ends_with("whole"));
        assert_eq!(chosen.ok(), Some(PathBuf::from("/whole")));
    }

    #[test]
    fn a_part_of_the_hierarchy_alone_is_refused() {
        let mounts = [PathBuf::from("/part")];
        assert!(matches!(choose(&mounts, |_| false), Err(KernelError::PartOfCgroup2 { .. })));
    }

    #[test]
    fn a_named_directory_that_is_no_cgroup2_is_refused_by_name() {
        let sentence = check(Path::new("/")).map_err(|error| error.to_string());
        assert!(sentence.is_err_and(|text| text.starts_with("--cgroup-root / is not a cgroup2 directory")));
    }

    #[test]
    fn a_named_directory_that_is_missing_is_refused_by_name() {
        let sentence = check(Path::new("/no/such/place")).map_err(|error| error.to_string());
        assert!(
            sentence.is_err_and(|text| text.starts_with("--cgroup-root /no/such/place cannot be opened"))
        );
    }
}
