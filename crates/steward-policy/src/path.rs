//! One path of a rule, and the names that a file goes by.
//!
//! Pure text: links were followed and dots taken out by the tool that named the file.

use globset::{GlobBuilder, GlobMatcher};
use steward_domain::files::Place;

/// How a glob and a file begin when they lie in the workspace.
const WORKSPACE: &str = "workspace";
/// Where a command in the sandbox sees the workspace.
const SEEN_INSIDE: &str = "/workspace";
const WILD: &[char] = &['*', '?', '[', '{', '\\'];

/// A checked path of a rule.
#[derive(Clone, Debug)]
pub(crate) struct PathGlob {
    globs: Vec<Glob>,
}

/// One spelling of it.
#[derive(Clone, Debug)]
struct Glob {
    matcher: GlobMatcher,
    /// Its leading parts that hold nothing wild.
    stem: Vec<String>,
}

impl PathGlob {
    /// Reads a glob: `workspace/…` or a relative one is in the workspace, `~/…` in the owner's `home`, `/…` anywhere.
    ///
    /// # Errors
    /// A sentence when it is no glob or climbs with `..`.
    pub(crate) fn new(text: &str, home: Option<&str>) -> Result<PathGlob, String> {
        let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if text.is_empty() || parts.contains(&"..") {
            return Err(format!("path {text:?} of a policy rule is empty or climbs with `..`"));
        }
        let plain = parts.join("/");
        let mut spellings = Vec::new();
        if text.starts_with('/') {
            let absolute = format!("/{plain}");
            if absolute == SEEN_INSIDE || absolute.starts_with("/workspace/") {
                spellings.push(plain);
            }
            spellings.push(absolute);
        } else if parts.first() == Some(&"~") {
            if let Some(home) = home {
                spellings.push(format!("{}/{}", globset::escape(home), parts[1..].join("/")));
            }
            spellings.push(plain);
        } else if parts.first().is_none_or(|first| *first == WORKSPACE || first.contains(WILD)) {
            spellings.push(plain);
        } else {
            spellings.push(format!("{WORKSPACE}/{plain}"));
        }
        let mut globs = Vec::new();
        for spelling in spellings {
            // `private/**` names the folder as well as what is in it.
            if let Some(folder) = spelling.strip_suffix("/**").filter(|folder| !folder.is_empty()) {
                globs.push(Glob::new(folder, text)?);
            }
            globs.push(Glob::new(spelling.trim_end_matches('/'), text)?);
        }
        Ok(PathGlob { globs })
    }

    /// Does one of the names match?
    pub(crate) fn matches(&self, names: &[String]) -> bool {
        names.iter().any(|name| self.globs.iter().any(|glob| glob.matcher.is_match(name)))
    }

    /// Does one of the names match, or a folder that holds it?
    pub(crate) fn covers(&self, names: &[String]) -> bool {
        let is_covered = |name: &String| {
            let folders = name.match_indices('/').map(|(end, _)| &name[..end]);
            folders
                .chain([name.as_str()])
                .any(|name| self.globs.iter().any(|glob| glob.matcher.is_match(name)))
        };
        names.iter().any(is_covered)
    }

    /// Could it match one of the names, or something below?
    pub(crate) fn may_match_below(&self, names: &[String]) -> bool {
        let fits = |name: &String, glob: &Glob| name.split('/').zip(&glob.stem).all(|(part, wanted)| part == wanted);
        names.iter().any(|name| self.globs.iter().any(|glob| fits(name, glob)))
    }
}

impl Glob {
    fn new(spelling: &str, text: &str) -> Result<Glob, String> {
        let built = GlobBuilder::new(spelling).literal_separator(true).build();
        let matcher = built
            .map_err(|error| format!("path {text:?} of a policy rule is no glob: {error}"))?
            .compile_matcher();
        let stem = spelling
            .split('/')
            .take_while(|part| !part.contains(WILD))
            .map(str::to_owned)
            .collect();
        Ok(Glob { matcher, stem })
    }
}

/// All names of a place: a rule may use any of them.
pub(crate) fn names_of(place: &Place, roots: &[String], home: Option<&str>) -> Vec<String> {
    match place {
        Place::Inside { path } => {
            let roots = roots.iter().map(String::as_str).chain([WORKSPACE]);
            roots.map(|root| below(root, path)).collect()
        }
        Place::Outside { path } => {
            let in_home = path.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/'));
            let absolute = in_home.zip(home).map(|(rest, home)| format!("{home}{rest}"));
            [Some(path.clone()), absolute].into_iter().flatten().collect()
        }
    }
}

fn below(root: &str, path: &str) -> String {
    if path.is_empty() {
        root.to_owned()
    } else {
        format!("{root}/{path}")
    }
}

#[cfg(test)]
mod tests;
