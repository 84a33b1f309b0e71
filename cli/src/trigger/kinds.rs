//! `--list-kinds`: the table of kinds, for people.

use weir_protocol::kinds::Area;

use crate::term::outln;

pub(super) fn print() -> std::io::Result<()> {
    for area in Area::ALL {
        let (title, field) = match area {
            Area::Messages => ("Messages", "MsgType"),
            Area::Events => ("Events of Official Accounts", "Event"),
            Area::Cards => ("Events of cards", "Event"),
            Area::MiniProgram => ("Events of mini programs", "Event"),
            Area::Component => ("Notices to third-party platforms", "InfoType"),
        };
        outln!("{title} ({field})\n")?;
        for kind in area.kinds() {
            outln!("  {}: {}", kind.name, kind.doc)?;
            let names: Vec<String> = kind
                .fields
                .iter()
                .map(|field| match field.required {
                    true => field.name.to_owned(),
                    false => format!("[{}]", field.name),
                })
                .collect();
            if !names.is_empty() {
                outln!("    {}", names.join(" "))?;
            }
        }
        outln!()?;
    }
    Ok(())
}
