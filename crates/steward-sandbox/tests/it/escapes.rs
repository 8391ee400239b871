//! Attempts to get out, in every backend.

use steward_sandbox::Backend;

use crate::stage::{BACKENDS, Stage, stage};

async fn python(stage: &Stage, script: &str) -> String {
    let mut command = stage.shell("");
    command.argv = vec!["python3".into(), "-c".into(), script.into()];
    stage.finish(command).await.0
}

#[tokio::test]
async fn every_check_of_the_proof_passes() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        let home = tempfile::tempdir().expect("a home");
        let checks = stage.sandbox.prove(home.path()).await;
        assert!(checks.len() >= 12, "{backend}");
        for check in checks {
            assert!(check.passed, "{backend}: {} – {}", check.name, check.detail);
        }
    }
}

#[tokio::test]
async fn the_proof_fails_where_nothing_is_isolated() {
    let config = steward_sandbox::Config {
        backend: Backend::None,
        i_know: true,
        ..Default::default()
    };
    let stage = crate::stage::stage_with(config).await;
    let home = tempfile::tempdir().expect("a home");
    std::fs::set_permissions(home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
    let failed: Vec<_> = stage
        .sandbox
        .prove(home.path())
        .await
        .into_iter()
        .filter(|check| !check.passed)
        .map(|check| check.name)
        .collect();
    assert!(failed.len() >= 5, "{failed:?}");
}

#[tokio::test]
async fn the_processes_user_is_not_root_seen_from_outside() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        let child = stage.start(stage.shell("sleep 1000")).await;
        // Whatever the keeper starts has given its user up before anything of the command exists.
        let keeper = child.id();
        let below = std::fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).expect("its children");
        assert!(!below.is_empty(), "{backend}: nothing runs");
        for process in below.split_whitespace() {
            let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
            let ids = status.lines().find(|line| line.starts_with("Uid:")).expect("its user");
            assert!(ids.split_whitespace().skip(1).all(|id| id != "0"), "{backend}: {ids}");
        }
    }
}

#[tokio::test]
async fn dangerous_system_calls_are_refused() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        let script = r#"
import ctypes, errno, os, platform
libc = ctypes.CDLL(None, use_errno=True)
calls = {'ptrace':101,'process_vm_readv':310,'process_vm_writev':311,'unshare':272,'setns':308,'mount':165,'umount2':166,'pivot_root':155,
 'chroot':161,'open_tree':428,'move_mount':429,'fsopen':430,'mount_setattr':442,'keyctl':250,'add_key':248,'request_key':249,'bpf':321,
 'perf_event_open':298,'userfaultfd':323,'io_uring_setup':425,'io_uring_enter':426,'kexec_load':246,'init_module':175,'finit_module':313,
 'pidfd_getfd':438,'clone3':435,'openat2':437,'fchmodat2':452,'open_by_handle_at':304,'reboot':169,'syslog':103,'acct':163}
if platform.machine() == 'x86_64':
    for name, number in calls.items():
        ctypes.set_errno(0)
        r = libc.syscall(number, 0, 0, 0, 0, 0, 0)
        e = ctypes.get_errno()
        if r != -1 or e not in (errno.EPERM, errno.ENOSYS): print('open', name, r, e)
    for flags in (0x10000000, 0x00020000, 0x20000000, 0x40000000):
        ctypes.set_errno(0)
        if libc.syscall(56, flags | 17, 0, 0, 0, 0) != -1: print('open clone', hex(flags)); os._exit(0)
        if ctypes.get_errno() != errno.EPERM: print('clone', ctypes.get_errno())
    ctypes.set_errno(0)
    if libc.syscall(0x40000000 + 39) != -1: print('open x32')
    if libc.personality(0x0040000) != -1: print('open personality')
for family in (16, 17, 40, 38):
    try:
        import socket; socket.socket(family, socket.SOCK_DGRAM, 0); print('open family', family)
    except OSError as e: pass
import fcntl
try: fcntl.ioctl(0, 0x5412, b'x'); print('open TIOCSTI')
except OSError as e:
    if e.errno != errno.EPERM: print('TIOCSTI', e.errno)
import socket; a, b = socket.socketpair(); a.send(b'x'); b.recv(1)
print('done')
"#;
        assert_eq!(python(&stage, script).await, "done\n", "{backend}");
    }
}

#[tokio::test]
async fn set_id_bits_and_devices_cannot_be_made() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        let script = r#"
import os, stat
open('f', 'w').close()
for mode in (0o4755, 0o2755, 0o6755):
    for change in (lambda: os.chmod('f', mode), lambda: os.fchmod(os.open('f', os.O_RDWR), mode), lambda: os.close(os.open('g%o' % mode, os.O_CREAT | os.O_WRONLY, mode))):
        try: change()
        except OSError: pass
for kind in (stat.S_IFCHR, stat.S_IFBLK):
    try: os.mknod('d', kind | 0o666, os.makedev(1, 3)); print('open mknod')
    except OSError: pass
os.mkfifo('fifo'); os.chmod('f', 0o755)
print(sorted(n for n in os.listdir('.') if os.lstat(n).st_mode & 0o6000))
"#;
        assert_eq!(python(&stage, script).await, "[]\n", "{backend}");
    }
}

#[tokio::test]
async fn nothing_of_the_environment_or_descriptors_of_the_parent_is_seen() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        let canary = std::fs::File::open("/etc/hostname").expect("a file");
        // Without the close-on-exec flag, a careless spawn would pass it on.
        rustix::io::fcntl_setfd(&canary, rustix::io::FdFlags::empty()).expect("set");
        let (output, _) = stage
            .run("ls /proc/self/fd 2>/dev/null | tr '\\n' ' '; env | cut -d= -f1 | sort | tr '\\n' ' '")
            .await;
        for variable in ["CARGO", "RUST", "PWD_"] {
            assert!(!output.contains(variable), "{backend}: {output}");
        }
        if backend == Backend::Bubblewrap {
            // Descriptor 3 is the folder that `ls` reads.
            assert!(output.starts_with("0 1 2 3 "), "{output}");
            let (output, _) = stage.run("cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n'").await;
            let folder = stage.path().display().to_string();
            assert!(!output.contains("CARGO") && !output.contains(&folder), "{output}");
        }
        let script = "import os\nopen_ones=[]\nfor n in range(3,1024):\n  try: os.fstat(n); open_ones.append(n)\n  except OSError: pass\nprint(open_ones)";
        assert_eq!(python(&stage, script).await, "[]\n", "{backend}");
    }
}

#[tokio::test]
async fn the_inside_is_bare_and_read_only() {
    let stage = stage(Backend::Bubblewrap).await;
    let script = "ls / | tr '\\n' ' '; echo; for d in / /usr /etc /dev /proc /run /var /home /root; do touch $d/x 2>/dev/null && echo open $d; done; \
                  ls /root /home /etc/shadow /var/run/docker.sock 2>/dev/null; id -u; hostname; cat /etc/passwd | wc -l; ls /sys 2>/dev/null | wc -l";
    let (output, _) = stage.run(script).await;
    assert!(!output.contains("open "), "{output}");
    assert!(output.ends_with("1000\nsandbox\n3\n0\n"), "{output}");
}
