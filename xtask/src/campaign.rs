//! `cargo xtask campaign NAME`: long runs that look for what the tests are too short to find.
//!
//! A campaign is a line in [`CAMPAIGNS`] and a file in the folder beside this one. It gets an [`Order`] and returns one
//! [`Line`] for each thing that it tried. Its seed is printed first, so that a run can be repeated; a finding makes the
//! exit code that of a failure, and stays in what is recorded.

mod blackbox;
mod buffer;
mod connections;
mod crash;
mod forward;
mod line;
mod node;
mod order;
mod outage;
mod record;
mod reload;
mod servers;

pub(crate) use self::{line::Line, order::Order};

use crate::fuzz;
use anyhow::{Result, bail};
use std::time::Instant;

/// One campaign.
struct Campaign {
    name: &'static str,
    about: &'static str,
    /// Options of its own, and what each is. An option that is not listed is refused before the campaign begins.
    options: &'static [(&'static str, &'static str)],
    /// An error when it could not be run; a finding is a line that failed.
    run: fn(&Order) -> Result<Vec<Line>>,
}

/// THE list of campaigns, in the order in which they are printed.
const CAMPAIGNS: &[Campaign] = &[
    Campaign {
        name: "fuzz",
        about: "each fuzz target, ten million executions",
        options: fuzz::OPTIONS,
        run: fuzz::campaign,
    },
    Campaign {
        name: "connections",
        about: "10,000 idle beside 1,000 busy, 5,000 slow, a million that come and go",
        options: &[],
        run: connections::campaign,
    },
    Campaign {
        name: "forward",
        about: "the receiver of a relay killed a hundred times under load, plain and over TLS with a key",
        options: forward::OPTIONS,
        run: forward::campaign,
    },
    Campaign {
        name: "kill",
        about: "a router killed a thousand times under load, at random moments and at system calls",
        options: crash::OPTIONS,
        run: crash::kill,
    },
    Campaign {
        name: "power",
        about: "the power lost five hundred times below a router",
        options: crash::OPTIONS,
        run: crash::power,
    },
    Campaign {
        name: "reload",
        about: "two hundred reloads under load, half of them refused",
        options: reload::OPTIONS,
        run: reload::campaign,
    },
    Campaign {
        name: "soak",
        about: "half an hour with destinations that are away, slow, silent or lying",
        options: crash::SOAK_OPTIONS,
        run: crash::soak,
    },
    Campaign {
        name: "full",
        about: "the disk full two hundred times, by the router and by a neighbour, for each overflow action",
        options: crash::FULL_OPTIONS,
        run: crash::full,
    },
    Campaign {
        name: "damage",
        about: "every bit of a buffer of 64 KiB flipped, and the end cut off at every byte",
        options: buffer::DAMAGE_OPTIONS,
        run: buffer::damage,
    },
    Campaign {
        name: "model",
        about: "a hundred thousand stories of a buffer by chance, against a small model",
        options: buffer::MODEL_OPTIONS,
        run: buffer::model,
    },
    Campaign {
        name: "io",
        about: "every system call of a buffer failing in every way, and kills and losses of power before each",
        options: buffer::IO_OPTIONS,
        run: buffer::io,
    },
    Campaign {
        name: "node",
        about: "50 containers at 20 MB/s with rotation and kills, a run that loses, and CPU time and lag at three speeds",
        options: node::OPTIONS,
        run: node::campaign,
    },
    Campaign {
        name: "servers",
        about: "the tests with real servers against Elasticsearch 9 and OpenSearch 2, open and guarded",
        options: servers::OPTIONS,
        run: servers::campaign,
    },
    Campaign {
        name: "outage",
        about: "real servers killed, stopped, cut off and hidden behind a failing proxy, two minutes each",
        options: outage::OPTIONS,
        run: outage::campaign,
    },
];

/// Runs the command.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    let Some((name, rest)) = args.split_first() else {
        list();
        return Ok(());
    };
    let Some(campaign) = CAMPAIGNS.iter().find(|campaign| campaign.name == *name) else {
        bail!("no campaign `{name}`; `cargo xtask campaign` lists them");
    };
    let order = Order::read(name, rest, campaign.options)?;
    println!("campaign {name}: seed {}", order.seed);
    let start = Instant::now();
    let lines = (campaign.run)(&order)?;
    for line in &lines {
        println!("{line}");
    }
    let failed = lines.iter().filter(|line| line.failure.is_some()).count();
    println!(
        "campaign {name}: {} passed, {failed} failed in {:.1} s",
        lines.len() - failed,
        start.elapsed().as_secs_f64()
    );
    if order.records {
        record::add(&order, &lines)?;
    }
    if lines.is_empty() || failed > 0 {
        bail!(
            "campaign {name} found something; repeat it with `{}`",
            order.command()
        );
    }
    Ok(())
}

fn list() {
    for campaign in CAMPAIGNS {
        println!("{:<12} {}", campaign.name, campaign.about);
        for (option, about) in campaign.options {
            println!("  {option:<12} {about}");
        }
    }
    println!(
        "\nevery campaign takes --seed N, and --record to add its figures to {}",
        record::PAGE
    );
}
