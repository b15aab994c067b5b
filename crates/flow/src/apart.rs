//! Whether the people of a call can be told apart: by their channels, as long as nothing else does.

use schema::Call;

/// How many channels something is heard on that no other channel repeats; none where nobody has listened.
fn heard_channels(call: &Call) -> Option<usize> {
    match call.channels.as_deref() {
        Some(channels) => Some(channels.iter().filter(|c| !c.silent && c.copy_of.is_none()).count()),
        None => call.channel_count.and_then(|count| usize::try_from(count).ok()),
    }
}

/// Whether it is known who speaks when: everybody is heard, each on a channel of their own. Not so where several people share
/// the one channel that is heard (a mono recording, or one that is mono in truth), nor where the channel of somebody who denied
/// consent was withheld. Where nothing is heard at all, there is nobody to mistake.
pub(crate) fn told_apart(call: &Call) -> bool {
    let alone = call.participants.len() == 1;
    call.status != "partial" && (alone || heard_channels(call) != Some(1))
}

/// Whether the participant that is listed on a channel is the only one who can be heard there: a list that puts the agent on
/// channel 0 of a mono recording does not say that the customer is elsewhere.
pub(crate) fn is_alone_on(call: &Call, channel: i32) -> bool {
    let repeated = call.channels.iter().flatten().any(|c| c.copy_of == Some(channel));
    let others_are_elsewhere = || {
        let placed = |p: &&schema::Participant| p.channel.is_some_and(|c| c != channel);
        call.participants.iter().filter(placed).count() + 1 == call.participants.len()
    };
    !repeated && (heard_channels(call) != Some(1) || others_are_elsewhere())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A call of these participants' channels, and of channels of which each is heard, silent or a copy of another.
    fn call(status: &str, participants: &[Option<i32>], channels: &[&str]) -> Call {
        let participant = |(i, channel): (usize, &Option<i32>)| json!({"participant_id": i.to_string(), "channel": channel, "consent": "granted"});
        let sound = |(i, sound): (usize, &&str)| {
            let copy_of: Option<i32> = sound.strip_prefix("copy of ").map(|n| n.parse().unwrap());
            json!({"channel": i, "clipped": false, "quiet": false, "silent": *sound == "silent", "copy_of": copy_of, "crosstalk": 0.0})
        };
        let participants: Vec<_> = participants.iter().enumerate().map(participant).collect();
        let channels: Vec<_> = channels.iter().enumerate().map(sound).collect();
        serde_json::from_value(json!({
            "call_id": "1", "source_uri": "", "crm": {}, "status": status,
            "participants": participants, "channels": channels, "channel_count": channels.len(),
        }))
        .unwrap()
    }

    #[test]
    fn who_is_told_apart() {
        let two = &[Some(0), Some(1)][..];
        for (call, apart) in [
            (call("ready", two, &["heard", "heard"]), true),
            (call("ready", &[None, None], &["heard"]), false),
            (call("ready", &[Some(0), None], &["heard"]), false),
            (call("ready", &[], &["heard"]), false),
            (call("ready", &[Some(0)], &["heard"]), true),
            (call("ready", two, &["heard", "silent"]), false),
            (call("ready", two, &["heard", "copy of 0"]), false),
            (call("ready", two, &["silent", "silent"]), true),
            (call("ready", &[], &["heard", "silent", "heard", "copy of 2"]), true),
            (call("partial", two, &["heard"]), false),
            (call("partial", &[Some(0), Some(1), Some(2)], &["heard", "heard"]), false),
        ] {
            assert_eq!(told_apart(&call), apart, "{call:?}");
        }
    }

    #[test]
    fn who_is_alone_on_a_channel() {
        for (call, alone) in [
            (call("ready", &[Some(0), Some(1)], &["heard", "heard"]), true),
            (call("ready", &[Some(0), None], &["heard"]), false),
            (call("ready", &[Some(0)], &["heard"]), true),
            (call("ready", &[Some(0), Some(1)], &["heard", "silent"]), true),
            (call("ready", &[Some(0), None], &["heard", "silent"]), false),
            (call("ready", &[Some(0), Some(1)], &["heard", "copy of 0"]), false),
            (call("partial", &[Some(0), Some(1)], &["heard"]), true),
        ] {
            assert_eq!(is_alone_on(&call, 0), alone, "{call:?}");
        }
        // Of a foreign row nothing is known but the participants.
        let mut foreign = call("ready", &[Some(0), None], &["heard"]);
        (foreign.channels, foreign.channel_count) = (None, None);
        assert!(is_alone_on(&foreign, 0) && told_apart(&foreign));
    }
}
