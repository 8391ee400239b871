//! Tries to break out of the sandbox, for `steward doctor` and the security audit.
//!
//! Each attempt is harmless when it succeeds. A sandbox that refuses commands proves nothing and says so.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::command::{Command, Streams};
use crate::error::SandboxError;
use crate::sandbox::Sandbox;

/// One attempted escape and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was attempted.
    pub name: &'static str,
    /// Did the sandbox hold?
    pub passed: bool,
    /// What happened, for people.
    pub detail: String,
}

/// An attempt is a shell script that prints this when it got through.
const THROUGH: &str = "GOT-THROUGH";

/// Attempts that need nothing prepared. Tools that a machine may lack make the attempt fail, never the check.
const SCRIPTS: &[(&str, &str)] = &[
    ("read /etc/shadow", "cat /etc/shadow >/dev/null 2>&1 && echo GOT-THROUGH"),
    ("list root's home", "ls /root >/dev/null 2>&1 && echo GOT-THROUGH"),
    (
        "run as root",
        "grep -q '^Uid:[[:space:]]*0' /proc/self/status 2>/dev/null && echo GOT-THROUGH; [ \"$(id -u)\" = 0 ] && echo GOT-THROUGH",
    ),
    (
        "write to /usr",
        "touch /usr/steward-proof 2>/dev/null && rm -f /usr/steward-proof && echo GOT-THROUGH",
    ),
    (
        "write to /etc",
        "touch /etc/steward-proof 2>/dev/null && rm -f /etc/steward-proof && echo GOT-THROUGH",
    ),
    ("make a user namespace", "unshare -Ur true 2>/dev/null && echo GOT-THROUGH"),
    ("mount a file system", "mount -t tmpfs none /tmp 2>/dev/null && echo GOT-THROUGH"),
    (
        "set a set-uid bit",
        "cp /bin/true ./proof-suid && chmod u+s ./proof-suid 2>/dev/null; [ -u ./proof-suid ] && echo GOT-THROUGH",
    ),
    ("make a device", "mknod ./proof-device c 1 3 2>/dev/null && echo GOT-THROUGH"),
    (
        "gain privileges",
        "grep -q '^NoNewPrivs:[[:space:]]*0' /proc/self/status 2>/dev/null && echo GOT-THROUGH",
    ),
    (
        "see processes of the host",
        "ls -d /proc/[0-9]* 2>/dev/null | wc -l | { read n; [ \"$n\" -gt 12 ] && echo GOT-THROUGH; }",
    ),
    (
        "reach the Docker socket",
        "ls /var/run/docker.sock /run/docker.sock >/dev/null 2>&1 && [ -w /run/docker.sock ] && echo GOT-THROUGH",
    ),
];

/// Attempts that need system calls; skipped (and held to be passed by the filter) where there is no Python.
const PYTHON: &[(&str, &str)] = &[
    (
        "trace another process",
        "import ctypes,os,time\np=os.fork()\nif p==0:\n  time.sleep(5);os._exit(0)\nr=ctypes.CDLL(None).ptrace(16,p,0,0)\nos.kill(p,9)\nprint('GOT-THROUGH' if r==0 else '')",
    ),
    (
        "find an open descriptor",
        "import os\nfor n in range(3,1024):\n  try: os.fstat(n);print('GOT-THROUGH',n)\n  except OSError: pass",
    ),
    (
        "open a packet socket",
        "import socket\ntry: socket.socket(17,3,0);print('GOT-THROUGH')\nexcept OSError: pass",
    ),
];

impl Sandbox {
    /// Tries to escape. `home` is Steward's home, which must not be readable from inside.
    pub async fn prove(&self, home: &Path) -> Vec<Check> {
        let folder = match Folder::make() {
            Ok(folder) => folder,
            Err(error) => {
                return vec![Check {
                    name: "make a workspace",
                    passed: false,
                    detail: error.to_string(),
                }];
            }
        };
        let mut checks = vec![self.works(&folder).await];
        if !checks[0].passed {
            return checks;
        }
        for (name, script) in SCRIPTS {
            checks.push(self.attempt(name, &folder, ["/bin/sh", "-c", script]).await);
        }
        if Path::new("/usr/bin/python3").exists() {
            for (name, script) in PYTHON {
                checks.push(self.attempt(name, &folder, ["/usr/bin/python3", "-c", script]).await);
            }
        }
        checks.push(self.home(home, &folder).await);
        checks.push(self.environment(&folder).await);
        checks.push(self.loopback(&folder).await);
        checks.push(self.survivor(&folder).await);
        checks
    }

    async fn works(&self, folder: &Folder) -> Check {
        let (passed, detail) = match self.output(folder, ["/bin/sh", "-c", "echo works > proof && cat proof"]).await {
            Ok(output) if output.trim() == "works" => (true, format!("commands run: {}", self.why())),
            Ok(output) => (false, format!("a command could not write its workspace: {}", output.trim())),
            Err(error) => (false, error.to_string()),
        };
        Check {
            name: "run a command",
            passed,
            detail,
        }
    }

    async fn attempt(&self, name: &'static str, folder: &Folder, argv: [&str; 3]) -> Check {
        match self.output(folder, argv).await {
            Ok(output) if output.contains(THROUGH) => Check {
                name,
                passed: false,
                detail: "it was possible".into(),
            },
            Ok(_) => Check {
                name,
                passed: true,
                detail: "refused".into(),
            },
            Err(error) => Check {
                name,
                passed: false,
                detail: error.to_string(),
            },
        }
    }

    async fn home(&self, home: &Path, folder: &Folder) -> Check {
        let script = format!("ls {} >/dev/null 2>&1 && echo {THROUGH}", quoted(&home.display().to_string()));
        self.attempt("read Steward's home", folder, ["/bin/sh", "-c", &script]).await
    }

    /// Steward's own variables must be in no environment that can be read inside.
    async fn environment(&self, folder: &Folder) -> Check {
        const NAME: &str = "read Steward's environment";
        let script = "cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'; env";
        let Ok(output) = self.output(folder, ["/bin/sh", "-c", script]).await else {
            return Check {
                name: NAME,
                passed: false,
                detail: "the attempt could not be run".into(),
            };
        };
        // What the kernel shows of this process is what a leak would show.
        let ours = std::fs::read("/proc/self/environ").unwrap_or_default();
        let ours = String::from_utf8_lossy(&ours).into_owned();
        let known = [
            "PATH=", "HOME=", "TERM=", "LANG=", "USER=", "LOGNAME=", "SHELL=", "TMPDIR=", "PWD=", "OLDPWD=", "SHLVL=", "_=",
        ];
        let leaked = ours
            .split('\0')
            .filter(|entry| entry.len() > 8 && !known.iter().any(|name| entry.starts_with(name)));
        let leaked: Vec<_> = leaked
            .filter(|entry| output.lines().any(|line| line == *entry))
            .filter_map(|entry| entry.split('=').next())
            .collect();
        let passed = leaked.is_empty();
        let detail = if passed {
            "nothing of it is there".into()
        } else {
            format!("these are there: {}", leaked.join(", "))
        };
        Check {
            name: NAME,
            passed,
            detail,
        }
    }

    /// A listener on the host's loopback must hear nothing.
    async fn loopback(&self, folder: &Folder) -> Check {
        const NAME: &str = "connect to the host's loopback";
        let Ok(listener) = TcpListener::bind("127.0.0.1:0").await else {
            return Check {
                name: NAME,
                passed: false,
                detail: "no listener could be opened to try".into(),
            };
        };
        let port = listener.local_addr().map(|address| address.port()).unwrap_or(0);
        let heard = Arc::new(AtomicUsize::new(0));
        let count = heard.clone();
        let listening = tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo {THROUGH}");
        let mut check = self.attempt(NAME, folder, ["/bin/bash", "-c", &script]).await;
        listening.abort();
        if heard.load(Ordering::SeqCst) > 0 {
            check = Check {
                name: NAME,
                passed: false,
                detail: "the listener was reached".into(),
            };
        }
        check
    }

    /// A process that leaves its parent must not outlive the command.
    async fn survivor(&self, folder: &Folder) -> Check {
        const NAME: &str = "outlive the command";
        let script = "(setsid sh -c 'while :; do echo x >> alive; sleep 0.02; done' >/dev/null 2>&1 &); sleep 0.2";
        if let Err(error) = self.output(folder, ["/bin/sh", "-c", script]).await {
            return Check {
                name: NAME,
                passed: false,
                detail: error.to_string(),
            };
        }
        let size = || std::fs::metadata(folder.0.join("alive")).map(|data| data.len()).unwrap_or(0);
        let before = size();
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        let passed = size() == before;
        let detail = if passed { "nothing is left" } else { "a process goes on" };
        Check {
            name: NAME,
            passed,
            detail: detail.into(),
        }
    }

    async fn output(&self, folder: &Folder, argv: [&str; 3]) -> Result<String, SandboxError> {
        let mut command = Command::new(&folder.0, argv);
        command.streams = Streams::Merged;
        command.time_limit = Some(std::time::Duration::from_secs(10));
        let mut child = self.spawn(command).await?;
        let mut output = Vec::new();
        if let Some(mut stdout) = child.take_stdout() {
            stdout
                .read_to_end(&mut output)
                .await
                .map_err(SandboxError::start("reading an attempt's output"))?;
        }
        // How the attempt ended does not matter, only what it printed; but it must be over.
        let _ = child.wait().await;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A workspace for the attempts; removed when dropped.
struct Folder(std::path::PathBuf);

impl Folder {
    fn make() -> std::io::Result<Folder> {
        use std::os::unix::fs::DirBuilderExt;
        let nanos = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map(|since| since.as_nanos())
            .unwrap_or(0);
        let path = std::env::temp_dir().join(format!("sandbox-proof-{}-{nanos:x}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o755).create(&path)?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
