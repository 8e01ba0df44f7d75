//! Every message to all its subscribers: the measurement, and what it is set beside.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::arguments::Arguments;
use super::ceiling::{self, Ceiling, Request};
use super::connect::connect_all;
use super::dialect::Dialect;
use super::figures::{Beside, Figures, Sample, whole};
use super::load::Load;
use super::plan::{Pace, Plan, Until, View};
use super::progress;
use super::queues::{Queues, Watch};
use super::server::Server;
use crate::cli::Error;
use crate::websocket::deflate::offer::OFFER;

/// Everything measured.
#[derive(Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    figures: Figures,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ceiling: Vec<Ceiling>,
    /// The same load with compressed messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    deflate: Option<Beside>,
    /// The same load, followed by the field of the type.
    #[serde(skip_serializing_if = "Option::is_none")]
    typed: Option<Beside>,
    /// Where the server says what they hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    queues: Option<Queues>,
    #[serde(skip)]
    is_rate: bool,
}

/// Frames of one write in the bare loop that coalesces, and messages under way to feed it.
pub(super) const BATCH: usize = 8;
const BATCH_WINDOW: u64 = 64;

/// Measures what the flags ask for.
pub(super) async fn run(
    arguments: &Arguments,
    server: Server,
    plan: &Plan,
) -> Result<Report, Error> {
    let (figures, queues) = measure(&server, plan, None).await?;
    let deflate = if arguments.deflate {
        let (own, _) = measure(&server, plan, Some(OFFER)).await?;
        Some(Beside::new(own, &figures))
    } else {
        None
    };
    let typed = if arguments.typed {
        let plan = Plan { view: Some(View::Typed), ..plan.clone() };
        let (own, _) = measure(&server, &plan, None).await?;
        Some(Beside::new(own, &figures))
    } else {
        None
    };
    // The bare loop gets the core to itself.
    drop(server);
    let ceiling = if arguments.ceiling { ceilings(plan, &figures)? } else { Vec::new() };
    let is_rate = matches!(plan.pace, Pace::Rate(_));
    Ok(Report { figures, ceiling, deflate, typed, queues, is_rate })
}

async fn measure(
    server: &Server,
    plan: &Plan,
    offer: Option<&str>,
) -> Result<(Figures, Option<Queues>), Error> {
    let bar = progress((plan.subscribers + plan.publishers) as u64, "connecting");
    let opening = |index| plan.subscriber(index);
    let subscribers = connect_all(&server.address, plan.subscribers, offer, opening, &bar);
    let subscribers = subscribers.await?;
    let opening = |_| plan.publisher();
    let publishers = connect_all(&server.address, plan.publishers, None, opening, &bar);
    let publishers = publishers.await?;
    bar.finish_and_clear();
    let bar = match plan.until {
        Until::Messages(count) => progress(count, "messages"),
        Until::Time(time) => {
            let all = (plan.warmup + time).as_millis();
            progress(u64::try_from(all).unwrap_or(u64::MAX), "ms")
        }
    };
    let load = Load::new(plan, plan, subscribers, publishers).map_err(Error::Failed)?;
    let admin = server.admin.clone().filter(|_| plan.max_per_second.is_some());
    let watch = admin.map(|admin| Watch::start(admin, server.pid));
    // The load looks at the server when the measurement begins, and when it ends.
    let marks = RefCell::new(Vec::new());
    let sample = || {
        marks.borrow_mut().push(Instant::now());
        Sample::of(server.pid)
    };
    let figures = load.run(sample, &bar).map_err(Error::Failed);
    bar.finish_and_clear();
    let (figures, marks) = (figures?, marks.into_inner());
    let queues = match (watch, marks.first(), marks.last()) {
        (Some(watch), Some(from), Some(to)) => Some(watch.stop(*from, *to).map_err(Error::Failed)?),
        _ => None,
    };
    Ok((figures, queues))
}

fn ceilings(plan: &Plan, figures: &Figures) -> Result<Vec<Ceiling>, Error> {
    const LONGEST: Duration = Duration::from_secs(5);
    let runs = match plan.pace {
        Pace::Rate(_) => vec![(1, plan.pace)],
        Pace::Saturate { .. } => {
            vec![(BATCH, Pace::Saturate { window: BATCH_WINDOW }), (1, plan.pace)]
        }
    };
    let frame_bytes = usize::try_from(whole(figures.frame_bytes)).unwrap_or(plan.size);
    let duration = match plan.until {
        Until::Time(duration) => duration.min(LONGEST),
        Until::Messages(_) => LONGEST,
    };
    let (layout, until) = (plan.layout(), Until::Time(duration));
    let measure = |(batch, pace)| {
        let bare = ceiling::measure(Request { layout, frame_bytes, batch, pace, until });
        let bare = bare.map_err(|reason| Error::Failed(format!("the bare loop: {reason}")))?;
        Ok(Ceiling::new(batch, &bare, figures))
    };
    runs.into_iter().map(measure).collect()
}

impl Report {
    /// Lines for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let from = if self.is_rate { "scheduled" } else { "published" };
        let mut lines = self.figures.lines(from, self.is_rate);
        lines.extend(self.queues.iter().flat_map(Queues::lines));
        lines.extend(self.ceiling.iter().map(|ceiling| ceiling.line(self.is_rate)));
        lines.extend(self.deflate.iter().map(|deflate| deflate.line("deflate", "plain")));
        lines.extend(self.typed.iter().map(|typed| typed.line("typed", "generic")));
        lines
    }

    /// No subscriber of any of the measurements missed anything.
    pub(super) fn is_clean(&self) -> bool {
        let others = [&self.deflate, &self.typed].into_iter().flatten();
        self.figures.is_clean() && others.into_iter().all(|beside| beside.figures.is_clean())
    }
}
