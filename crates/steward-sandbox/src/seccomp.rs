//! The seccomp filters: which system calls a sandboxed process may not make.
//!
//! Everything else is allowed, because the namespaces or Landlock decide about files and the network. Filters are built once.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition as Condition, SeccompFilter, SeccompRule,
    TargetArch,
};

/// What a filter refuses on top of what is always refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// The process has its own namespaces: internet sockets are harmless there.
    Namespaced,
    /// The process shares the host's network and process ids: it may make no socket and leave no process group.
    Shared,
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;
type Built = Result<Vec<BpfProgram>, seccompiler::Error>;

/// The filters to install, in this order.
pub(crate) fn filters(profile: Profile) -> Built {
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(seccompiler::Error::Backend)?;
    let build = |rules: Rules, errno: i32| -> Result<BpfProgram, seccompiler::Error> {
        let action = SeccompAction::Errno(errno as u32);
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, architecture)?;
        Ok(guard_x32(BpfProgram::try_from(filter)?))
    };
    Ok(vec![build(missing(), libc::ENOSYS)?, build(refused(profile)?, libc::EPERM)?])
}

/// Calls that pretend not to exist, so that programs fall back to ones whose arguments a filter can read.
fn missing() -> Rules {
    [
        libc::SYS_clone3,
        libc::SYS_openat2,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        SYS_FCHMODAT2,
    ]
    .into_iter()
    .map(|call| (call, Vec::new()))
    .collect()
}

const SYS_FCHMODAT2: i64 = 452;

fn refused(profile: Profile) -> Result<Rules, seccompiler::Error> {
    let mut rules: Rules = ALWAYS.iter().map(|call| (*call, Vec::new())).collect();
    refuse_namespaces(&mut rules)?;
    refuse_set_id_bits(&mut rules)?;
    refuse_device_nodes(&mut rules)?;
    refuse_terminal_tricks(&mut rules)?;
    // Two personalities are usual: none, and "tell me".
    let usual = vec![argument(0, Op::Ne, 0)?, argument(0, Op::Ne, 0xffff_ffff)?];
    rules.insert(libc::SYS_personality, vec![rule(usual)?]);
    match profile {
        Profile::Namespaced => {
            let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];
            let conditions = families.map(|family| argument(0, Op::Ne, family as u64));
            rules.insert(libc::SYS_socket, vec![rule(conditions.into_iter().collect::<Result<_, _>>()?)?]);
        }
        Profile::Shared => {
            for call in [
                libc::SYS_socket,
                libc::SYS_setsid,
                libc::SYS_setpgid,
                libc::SYS_shmget,
                libc::SYS_shmat,
                libc::SYS_msgget,
                libc::SYS_semget,
            ] {
                rules.insert(call, Vec::new());
            }
            // Shared process ids: prlimit of another process is refused by user id, of its own it is harmless.
        }
    }
    Ok(rules)
}

fn refuse_namespaces(rules: &mut Rules) -> Result<(), seccompiler::Error> {
    let flags = [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
    ];
    let mut alternatives = Vec::new();
    for flag in flags {
        alternatives.push(has_bits(0, flag as u64)?);
    }
    rules.insert(libc::SYS_clone, alternatives);
    Ok(())
}

fn refuse_set_id_bits(rules: &mut Rules) -> Result<(), seccompiler::Error> {
    let mut mode_at = vec![(libc::SYS_fchmod, 1), (libc::SYS_fchmodat, 2)];
    #[cfg(target_arch = "x86_64")]
    mode_at.extend([(libc::SYS_chmod, 1), (libc::SYS_creat, 1)]);
    for (call, position) in mode_at {
        rules.insert(call, vec![has_bits(position, 0o4000)?, has_bits(position, 0o2000)?]);
    }
    // `open` reads its mode only when it creates; a stray value in the register of other opens must not refuse them.
    for (call, flags, mode) in opens() {
        let mut alternatives = Vec::new();
        for creates in [libc::O_CREAT as u64, (libc::O_TMPFILE & !libc::O_DIRECTORY) as u64] {
            for bit in [0o4000, 0o2000] {
                let conditions = vec![
                    argument(flags, Op::MaskedEq(creates), creates)?,
                    argument(mode, Op::MaskedEq(bit), bit)?,
                ];
                alternatives.push(rule(conditions)?);
            }
        }
        rules.insert(call, alternatives);
    }
    Ok(())
}

#[cfg(target_arch = "x86_64")]
fn opens() -> Vec<(i64, u8, u8)> {
    vec![(libc::SYS_openat, 2, 3), (libc::SYS_open, 1, 2)]
}

#[cfg(not(target_arch = "x86_64"))]
fn opens() -> Vec<(i64, u8, u8)> {
    vec![(libc::SYS_openat, 2, 3)]
}

fn refuse_device_nodes(rules: &mut Rules) -> Result<(), seccompiler::Error> {
    let mut mode_at = vec![(libc::SYS_mknodat, 2)];
    #[cfg(target_arch = "x86_64")]
    mode_at.push((libc::SYS_mknod, 1));
    for (call, position) in mode_at {
        let mut alternatives = vec![has_bits(position, 0o4000)?, has_bits(position, 0o2000)?];
        for kind in [libc::S_IFCHR, libc::S_IFBLK] {
            alternatives.push(rule(vec![argument(
                position,
                Op::MaskedEq(u64::from(libc::S_IFMT)),
                u64::from(kind),
            )?])?);
        }
        rules.insert(call, alternatives);
    }
    Ok(())
}

/// Typing into a terminal, and its older relatives.
fn refuse_terminal_tricks(rules: &mut Rules) -> Result<(), seccompiler::Error> {
    const TIOCSTI: u64 = 0x5412;
    const TIOCLINUX: u64 = 0x541c;
    const TIOCCONS: u64 = 0x541d;
    const TIOCSETD: u64 = 0x5423;
    let mut alternatives = Vec::new();
    for request in [TIOCSTI, TIOCLINUX, TIOCSETD, TIOCCONS] {
        alternatives.push(rule(vec![argument(1, Op::Eq, request)?])?);
    }
    rules.insert(libc::SYS_ioctl, alternatives);
    Ok(())
}

fn argument(position: u8, operator: Op, value: u64) -> Result<Condition, seccompiler::Error> {
    Condition::new(position, Len::Dword, operator, value).map_err(seccompiler::Error::Backend)
}

fn has_bits(position: u8, bits: u64) -> Result<SeccompRule, seccompiler::Error> {
    rule(vec![argument(position, Op::MaskedEq(bits), bits)?])
}

fn rule(conditions: Vec<Condition>) -> Result<SeccompRule, seccompiler::Error> {
    SeccompRule::new(conditions).map_err(seccompiler::Error::Backend)
}

/// The x32 interface numbers the same calls differently; on x86-64 all of it is refused.
fn guard_x32(program: BpfProgram) -> BpfProgram {
    if cfg!(not(target_arch = "x86_64")) {
        return program;
    }
    const LOAD_NUMBER: u16 = 0x20;
    const JUMP_IF_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    const X32_BIT: u32 = 0x4000_0000;
    let step = |code, jt, jf, k| seccompiler::sock_filter { code, jt, jf, k };
    let errno = 0x0005_0000 | libc::ENOSYS as u32;
    let mut guarded = vec![
        step(LOAD_NUMBER, 0, 0, 0),
        step(JUMP_IF_AT_LEAST, 0, 1, X32_BIT),
        step(RETURN, 0, 0, errno),
    ];
    guarded.extend(program);
    guarded
}

/// Refused whatever their arguments.
const ALWAYS: &[i64] = &[
    // Other processes' memory and descriptors.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Namespaces and mounts.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_fanotify_init,
    // Keys of the kernel.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // Large kernel interfaces with a long list of faults.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    libc::SYS_lookup_dcookie,
    libc::SYS_vhangup,
    // The machine itself.
    libc::SYS_kexec_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];
