//! Accepted messages in a second.

use av_relay::bare::Bare;
use av_tests::Outcome;

use crate::alone;
use crate::load::{Load, Players};
use crate::measure::{Settings, fdatasyncs, median, ratio};
use crate::nats::Nats;
use crate::world::{Tenant, World};

/// Devices that send, and that receive.
const SENDERS: usize = 500;
const RECEIVERS: usize = 1_000;

/// Fifty and five hundred connections, whoever receives.
pub(crate) async fn many(settings: Settings) -> Outcome {
    println!("accepted messages of 1 KiB in a second; JetStream acknowledges without fsync");
    let mut rows = Vec::new();
    for (connections, window) in [(50, 16), (500, 4)] {
        for online in [false, true] {
            for to_one in [false, true] {
                rows.push((Load { connections, window, to_one, online }, 0.6));
            }
        }
    }
    compare(settings, &rows).await
}

/// One message at a time.
pub(crate) async fn single(settings: Settings) -> Outcome {
    println!("one connection with one message at a time, and single commits of the same statements");
    compare(settings, &[(Load { connections: 1, window: 1, to_one: true, online: false }, 0.9)]).await
}

async fn compare(settings: Settings, rows: &[(Load, f64)]) -> Outcome {
    let world = World::start()?;
    let tenant = world.tenant(SENDERS + RECEIVERS).await?;
    let bare = Bare::open(&world.endpoint()?).await?;
    let nats = Nats::start().await?;
    println!(
        "{:<36} {:>9} {:>11} {:>7} {:>7} {:>10} {:>7} {:>12}",
        "", "relay", "PostgreSQL", "ratio", "target", "JetStream", "ratio", "fdatasync/s"
    );
    for (load, target) in rows {
        row(settings, (&world, &tenant, &bare, nats.as_ref()), *load, *target).await?;
    }
    Ok(())
}

type Sides<'a> = (&'a World, &'a Tenant, &'a Bare, Option<&'a Nats>);

async fn row(settings: Settings, (world, tenant, bare, nats): Sides<'_>, load: Load, target: f64) -> Outcome {
    let fdatasyncs = fdatasyncs(world.relay.data())?;
    let mut players = Players::connect(world, tenant, load, SENDERS).await?;
    let (mut relay, mut postgres, mut jetstream) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        world.clear(tenant).await?;
        relay.push(players.round(settings.time).await?);
        players.settled(world).await?;
        world.clear(tenant).await?;
        // The receivers would be woken, but nobody tells them: what PostgreSQL stores alone does not pass the bus.
        postgres.push(alone::round(bare, world, tenant, (load, SENDERS), settings.time).await?);
        if let (Some(nats), false) = (nats, load.online) {
            jetstream.push(nats.round(load, RECEIVERS, settings.time).await?);
        }
    }
    let name = format!(
        "{} x {}, {}, {}",
        load.connections,
        load.window,
        if load.to_one { "all to one" } else { "to 1,000" },
        if load.online { "online, ack" } else { "offline" }
    );
    let peer = if jetstream.is_empty() {
        format!("{:>10} {:>7}", "-", "-")
    } else {
        format!("{:>10.0} {:>7.2}", median(&jetstream), ratio(&relay, &jetstream))
    };
    println!(
        "{name:<36} {:>9.0} {:>11.0} {:>7.2} {target:>7.2} {peer} {fdatasyncs:>12.0}",
        median(&relay),
        median(&postgres),
        ratio(&relay, &postgres),
    );
    Ok(())
}
