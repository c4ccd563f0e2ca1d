//! The path of the property that a document is wrong at.
//!
//! serde_json says the line and the column. To carry the path along while it reads would double what is
//! compiled for each type; this reads the text again, and only after an error.

/// What leads from one value to one inside it.
enum Step {
    Key(String),
    Index(usize),
}

/// The path, such as `linux.namespaces[0].type`, of what ends at a line (from 1) and a column (from 0) of a
/// text; empty for the whole document. The text need not be JSON.
pub(super) fn path_at(text: &[u8], line: usize, column: usize) -> String {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let before: usize = lines.take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    let end = before.saturating_add(column).min(text.len());
    let mut bytes = text.get(..end).unwrap_or_default().iter().copied();
    let (mut steps, mut key_follows) = (Vec::new(), false);
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' => {
                steps.push(Step::Key(String::new()));
                key_follows = true;
            }
            b'[' => steps.push(Step::Index(0)),
            b'}' | b']' => {
                steps.pop();
                key_follows = false;
            }
            b',' => match steps.last_mut() {
                Some(Step::Index(index)) => *index += 1,
                Some(Step::Key(_)) => key_follows = true,
                None => {}
            },
            b'"' => {
                let text = string(&mut bytes);
                if let Some(Step::Key(key)) = steps.last_mut().filter(|_| key_follows) {
                    *key = text;
                    key_follows = false;
                }
            }
            _ => {}
        }
    }
    joined(&steps)
}

/// The rest of a string, as it is written.
fn string(bytes: &mut impl Iterator<Item = u8>) -> String {
    let mut text = Vec::new();
    while let Some(byte) = bytes.next().filter(|byte| *byte != b'"') {
        text.push(byte);
        if byte == b'\\' {
            text.extend(bytes.next());
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn joined(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Key(key) if key.is_empty() => {}
            Step::Key(key) if path.is_empty() => path.push_str(key),
            Step::Key(key) => path.extend([".", key.as_str()]),
            Step::Index(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Spec;

    #[test]
    fn what_is_wrong_is_named() {
        for (text, path) in [
            (r#"{"ociVersion": 1}"#, "ociVersion"),
            ("{\n\"a\": [\"]}\\\"\", {}],\n \"root\": {\"readonly\": \"x\"}}", "root.readonly"),
            (
                r#"{"linux": {"namespaces": [{"type": "pid"}, {"type": "x"}]}}"#,
                "linux.namespaces[1].type",
            ),
            (r#"{"linux": {"namespaces": [{"path": "/x"}]}}"#, "linux.namespaces[0]"),
            (r#"{"process": {"user": {"uid": -1}}}"#, "process.user.uid"),
            (r#"{"process": {"user": {"uid": 4294967296}}}"#, "process.user.uid"),
            (r#"{"process": {"args": ["a", 7]}}"#, "process.args[1]"),
            (r#"{"mounts": [{"options": {}}]}"#, "mounts[0].options"),
            (r#"{"mounts": ["#, "mounts[0]"),
            ("x", ""),
            ("", ""),
        ] {
            let error = serde_json::from_str::<Spec>(text).unwrap_err();
            assert_eq!(path_at(text.as_bytes(), error.line(), error.column()), path, "{text}");
        }
    }
}
