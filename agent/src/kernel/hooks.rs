//! Programs -> links: packet and socket hooks at the cgroup root, connect and sendmsg hooks at the root and at each of
//! its first-level children.
//!
//! At each call the child's hook runs before the root's: so it sees a destination before a load balancer at the root
//! rewrites it. The root's own hook serves sockets of the root, and of children that have just appeared.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use aya::{
    Ebpf,
    programs::{
        CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSock, CgroupSockAddr, Program, ProgramError,
        cgroup_sock_addr::CgroupSockAddrLink,
    },
};

use super::error::{KernelError, explain};

/// On the link path the kernel always shares ("multi"); any flag is refused (`EINVAL`).
const SHARED: CgroupAttachMode = CgroupAttachMode::Single;

const CHILD_HOOKS: [&str; 4] = ["connect4_child", "connect6_child", "sendmsg4_child", "sendmsg6_child"];
const ROOT_HOOKS: [&str; 4] = ["connect4_root", "connect6_root", "sendmsg4_root", "sendmsg6_root"];

/// Every program with its links; dropping it detaches them.
pub struct Hooks {
    programs: Ebpf,
    root: PathBuf,
    children: HashMap<OsString, Vec<CgroupSockAddrLink>>,
}

impl Hooks {
    /// Attaches to the root. Owners first, packets last: no packet is seen whose owner could have been known.
    pub fn attach(programs: Ebpf, root: &Path) -> Result<Self, KernelError> {
        let mut hooks = Self { programs, root: root.to_path_buf(), children: HashMap::new() };
        let directory = File::open(root).map_err(|reason| KernelError::CgroupRoot {
            path: root.to_path_buf(),
            reason,
            hint: String::new(),
        })?;
        hooks.attach_each(
            root,
            |hooks| {
                let sock: &mut CgroupSock = hooks.program("sock_create")?;
                sock.attach(&directory, SHARED).map(drop)
            },
            "sock_create",
        )?;
        for name in ROOT_HOOKS {
            hooks.attach_each(
                root,
                |hooks| hooks.program::<CgroupSockAddr>(name)?.attach(&directory, SHARED).map(drop),
                name,
            )?;
        }
        hooks.rescan()?;
        let out = hooks.loaded(["packet_out", "packet_out_plain"]);
        let into = hooks.loaded(["packet_in", "packet_in_plain"]);
        for (name, kind) in [(out, CgroupSkbAttachType::Egress), (into, CgroupSkbAttachType::Ingress)] {
            hooks.attach_each(
                root,
                |hooks| hooks.program::<CgroupSkb>(name)?.attach(&directory, kind, SHARED).map(drop),
                name,
            )?;
        }
        Ok(hooks)
    }

    /// Of two forms of a hook the one that was loaded.
    fn loaded(&self, [usual, plain]: [&'static str; 2]) -> &'static str {
        let is_loaded =
            |name| matches!(self.programs.program(name), Some(Program::CgroupSkb(hook)) if hook.fd().is_ok());
        if is_loaded(plain) { plain } else { usual }
    }

    /// The cgroup root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A first-level child was made: its sockets are attributed before anything at the root touches them.
    pub fn child_appeared(&mut self, name: &OsStr) -> Result<(), KernelError> {
        let path = self.root.join(name);
        let directory = match File::open(&path) {
            Ok(directory) => directory,
            // Gone again already.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(reason) => return Err(KernelError::CgroupRoot { path, reason, hint: String::new() }),
        };
        let mut links = Vec::with_capacity(CHILD_HOOKS.len());
        for hook in CHILD_HOOKS {
            match self.link_child(hook, &directory) {
                Ok(link) => links.push(link),
                Err(_) if !path.exists() => return Ok(()),
                Err(error) => {
                    return Err(KernelError::Attach { program: hook, path, reason: explain(&error) });
                }
            }
        }
        self.children.insert(name.to_owned(), links);
        Ok(())
    }

    /// A first-level child was removed; the kernel has detached its hooks already.
    pub fn child_vanished(&mut self, name: &OsStr) {
        self.children.remove(name);
    }

    /// Brings the children in line with the directory: at the start, and when events were lost.
    pub fn rescan(&mut self) -> Result<(), KernelError> {
        let failed = |reason| KernelError::Machine { what: "reading the cgroup root", reason };
        let mut present = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                present.push(entry.file_name());
            }
        }
        self.children.retain(|name, _| present.contains(name));
        for name in present {
            if self.children.contains_key(&name) {
                continue;
            }
            if let Err(error) = self.child_appeared(&name) {
                tracing::warn!(%error, "sockets of this cgroup are attributed at the root only");
            }
        }
        Ok(())
    }

    fn link_child(&mut self, hook: &str, directory: &File) -> Result<CgroupSockAddrLink, ProgramError> {
        let program: &mut CgroupSockAddr = self.program(hook)?;
        let id = program.attach(directory, SHARED)?;
        program.take_link(id)
    }

    fn attach_each(
        &mut self,
        path: &Path,
        attach: impl FnOnce(&mut Self) -> Result<(), ProgramError>,
        program: &'static str,
    ) -> Result<(), KernelError> {
        attach(self).map_err(|error| KernelError::Attach {
            program,
            path: path.to_path_buf(),
            reason: explain(&error),
        })
    }

    fn program<'a, P>(&'a mut self, name: &str) -> Result<&'a mut P, ProgramError>
    where
        &'a mut P: TryFrom<&'a mut aya::programs::Program, Error = ProgramError>,
    {
        self.programs.program_mut(name).ok_or(ProgramError::NotLoaded)?.try_into()
    }
}
