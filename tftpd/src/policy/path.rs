//! Normalisation of the file name of a request to a name below the root.

use std::fmt;

use super::Printable;
use crate::proto::ErrorCode;

/// The longest component, in bytes: `NAME_MAX` of every Linux file system.
const MAX_COMPONENT: usize = 255;

/// The longest name, in bytes: `PATH_MAX` without its final NUL.
pub(super) const MAX_NAME: usize = 4095;

/// The normalised name of a file below the root.
///
/// It has one or more components with a `/` between them; none is empty, `.` or `..`, none has
/// more than 255 bytes, and the whole has at most 4095. It is bytes, not text.
///
/// Firmware spells one file in many ways. `..` means the parent directory, and at the root the
/// root, as in `openat2` with `RESOLVE_IN_ROOT`. Normalisation works on the name alone, before any
/// symbolic link is resolved. `%` has no special meaning.
///
/// | request | name |
/// |---|---|
/// | `/boot/vmlinuz` | `boot/vmlinuz` |
/// | `efi64//ldlinux.e64` | `efi64/ldlinux.e64` |
/// | `\Boot\BCD`, `/Boot\BCD` | `Boot/BCD` |
/// | `C:\tftp\x` | `tftp/x` |
/// | `sub/../small`, `./small` | `small` |
/// | `../x` | `x` |
/// | `boot/`, `.`, `boot/..`, nothing | an error: that is a directory |
///
/// ```
/// use tftpd::policy::Name;
///
/// let name = Name::from_request(br"\Boot\BCD")?;
/// assert_eq!(name.as_bytes(), b"Boot/BCD");
/// # Ok::<(), tftpd::policy::NameError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Name(Vec<u8>);

impl Name {
    /// Returns the name that a request means; `..` above the root stays at the root.
    ///
    /// # Errors
    /// [`NameError`] if it names no file, is too long, or holds a NUL.
    pub fn from_request(raw: &[u8]) -> Result<Self, NameError> {
        normalise(raw, Above::StayAtRoot)
    }

    /// Like [`from_request`](Self::from_request), but `..` above the root is an error.
    ///
    /// # Errors
    /// [`NameError`], also [`OutsideRoot`](NameError::OutsideRoot).
    pub fn strict(raw: &[u8]) -> Result<Self, NameError> {
        normalise(raw, Above::Refuse)
    }

    /// Returns the bytes, without a leading slash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the name as a relative path.
    pub fn as_path(&self) -> &std::path::Path {
        use std::os::unix::ffi::OsStrExt;
        std::path::Path::new(std::ffi::OsStr::from_bytes(&self.0))
    }

    /// Returns the components, outermost directory first; at least one.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&byte| byte == b'/')
    }

    /// Returns the last component.
    pub fn file_name(&self) -> &[u8] {
        self.split_last().1
    }

    /// Returns everything before the last component; `None` for a file directly in the root.
    pub fn parent(&self) -> Option<&[u8]> {
        self.split_last().0
    }

    fn split_last(&self) -> (Option<&[u8]>, &[u8]) {
        let slash = self.0.iter().rposition(|&byte| byte == b'/');
        match slash.and_then(|at| self.0.split_at_checked(at)) {
            Some((parent, [_slash, file @ ..])) => (Some(parent), file),
            _ => (None, &self.0),
        }
    }
}

impl fmt::Display for Name {
    /// Formats the name escaped, on one line, at most 256 bytes of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Printable(&self.0).fmt(f)
    }
}

/// The reason why bytes are not the name of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The name means the root itself.
    #[error("the name is empty: it means the root directory, not a file")]
    Empty,
    /// The name ends in a separator, `.` or `..`.
    #[error("the name ends like a directory's")]
    Directory,
    /// A component or the whole is longer than a file's name can be.
    #[error("the name is too long: {length} bytes where at most {limit} fit")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The name holds a NUL, which no file system allows.
    #[error("the name holds a NUL")]
    Nul,
    /// The name climbs above the root with `..`.
    #[error("the name climbs above the root with \"..\"")]
    OutsideRoot,
}

impl NameError {
    /// Returns the code for the peer: 2 for a name outside the root, else 1. U-Boot treats only
    /// these two codes as final and starts over on any other.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::OutsideRoot => ErrorCode::AccessViolation,
            Self::Empty | Self::Directory | Self::TooLong { .. } | Self::Nul => {
                ErrorCode::FileNotFound
            }
        }
    }
}

/// The meaning of `..` in the root.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Above {
    StayAtRoot,
    Refuse,
}

fn normalise(raw: &[u8], above: Above) -> Result<Name, NameError> {
    if raw.contains(&0) {
        return Err(NameError::Nul);
    }
    let mut name = Vec::with_capacity(raw.len());
    let mut components = raw.split(|&byte| is_separator(byte)).peekable();
    while let Some(component) = components.next() {
        let last = components.peek().is_none();
        match component {
            b"" | b"." => {}
            b".." => {
                if !pop(&mut name) && above == Above::Refuse {
                    return Err(NameError::OutsideRoot);
                }
            }
            // A drive only at the beginning: `C:` alone or further down is a file's name.
            [letter, b':'] if name.is_empty() && !last && letter.is_ascii_alphabetic() => continue,
            component => push(&mut name, component)?,
        }
        if last && matches!(component, b"" | b"." | b"..") && !name.is_empty() {
            return Err(NameError::Directory);
        }
    }
    match name.len() {
        0 => Err(NameError::Empty),
        length => within(length, MAX_NAME).map(|()| Name(name)),
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\')
}

fn push(name: &mut Vec<u8>, component: &[u8]) -> Result<(), NameError> {
    within(component.len(), MAX_COMPONENT)?;
    if !name.is_empty() {
        name.push(b'/');
    }
    name.extend_from_slice(component);
    Ok(())
}

/// Removes the last component; returns false if there is none.
fn pop(name: &mut Vec<u8>) -> bool {
    let had_one = !name.is_empty();
    let parent = name.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    name.truncate(parent);
    had_one
}

fn within(length: usize, limit: usize) -> Result<(), NameError> {
    if length > limit {
        return Err(NameError::TooLong { length, limit });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
