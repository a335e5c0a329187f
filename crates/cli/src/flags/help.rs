//! Help texts in Docker's layout.

use std::fmt::Write;

use super::Spec;

/// The `Options:` part of a help text.
pub(crate) fn options(specs: &[Spec]) -> String {
    let mut shown: Vec<&Spec> = specs.iter().filter(|spec| !spec.is_hidden()).collect();
    shown.sort_by_key(|spec| spec.long);
    let names: Vec<String> = shown.iter().map(|spec| name(spec)).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let mut text = String::new();
    for (spec, name) in shown.iter().zip(&names) {
        let indented = spec.help.replace('\n', &format!("\n{:1$}", "", width + 3));
        let _ = write!(text, "{name:width$}   {indented}");
        if shows_default(spec) {
            let quoted =
                if spec.kind == "string" { format!("{:?}", spec.default) } else { spec.default.to_owned() };
            let _ = write!(text, " (default {quoted})");
        }
        text.push('\n');
    }
    text
}

fn name(spec: &Spec) -> String {
    let short = spec.short.map_or("    ".to_owned(), |short| format!("-{short}, "));
    let gap = if spec.kind.is_empty() { "" } else { " " };
    format!("  {short}--{}{gap}{}", spec.long, spec.kind)
}

fn shows_default(spec: &Spec) -> bool {
    !matches!(spec.default, "" | "0" | "false")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout() {
        let spec = |long, short, kind, help, default, is_switch| Spec {
            long,
            short,
            help,
            kind,
            default,
            is_switch,
        };
        let specs = [
            spec("name", None, "string", "Assign a name", "", false),
            spec("detach", Some('d'), "", "Run in background", "", true),
            spec("pull", None, "string", "Pull image", "missing", false),
            spec("net", None, "string", "", "", false),
        ];
        let expected = "  -d, --detach        Run in background
      --name string   Assign a name
      --pull string   Pull image (default \"missing\")
";
        assert_eq!(options(&specs), expected);
    }
}
