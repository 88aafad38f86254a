//! `eport plan`: the ports that would be handed out, those that would not, and why.

use std::fmt::Write;
use std::time::Duration;

use serde_json::json;

use super::args::{Request, Respect};
use super::report::Report;
use super::sockets::Holders;
use crate::allocator::Allocator;
use crate::plan::{NoteLevel, Plan, PortSpec};
use crate::program::Failure;
use crate::system::{BoundSocket, Host};

pub(super) fn plan(host: &Host, request: &Request, rest: Duration) -> Result<Report, Failure> {
    let plan = planned(host, &request.ports, &request.respect)?;
    let files = host.open_files()?.map(|limit| limit.soft);
    let capacity = plan.capacity(rest, files);
    let sockets = host
        .sockets(request.respect.protocol.0)?
        .unwrap_or_default();
    let held: Vec<BoundSocket> = sockets
        .into_iter()
        .filter(|socket| plan.ports().contains(socket.port()))
        .collect();
    let holders = Holders::find(host, &held);
    let mut text = format!("{plan}\ncapacity: {capacity}\n");
    for note in plan.notes() {
        let severity = match note.level() {
            NoteLevel::Info => "info",
            NoteLevel::Warning => "warning",
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{severity}: {note}");
    }
    text += &left_out(&plan);
    if !held.is_empty() {
        text += "held at the moment, and skipped as long as they are:\n";
        text += &holders.table(&held);
    }
    let json = json!({
        "plan": plan,
        "capacity": capacity,
        "held": holders.json(&held),
    });
    Ok(Report::new(text, json))
}

/// Returns the plan that an allocator would make.
pub(super) fn planned(host: &Host, ports: &PortSpec, respect: &Respect) -> Result<Plan, Failure> {
    let builder = Allocator::builder()
        .host(host.clone())
        .ports(ports.clone())
        .sources(respect.sources())
        .overlap(respect.overlap);
    Ok(builder.plan()?)
}

fn left_out(plan: &Plan) -> String {
    let mut text = String::new();
    for (source, ports) in plan.left_out().iter() {
        if text.is_empty() {
            text += "left out:\n";
        }
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {:>5}  {source}: {ports}", ports.len());
    }
    text
}
