//! Which day a phrase means.
//!
//! The day of a call is `calls.started_on`, else the date of `calls.started_at` in UTC. Conventions, where English leaves a choice:
//!
//! - "Friday" is the coming Friday, strictly after the day of the call; "this Friday" may be that day; "next Friday" and
//!   "Friday next week" lie in the week after (weeks start on Monday); "Friday week" is seven days after "Friday".
//! - "End of the week" is Friday (Sunday once Friday is past), "this week" and "next week" too: the last day on which a
//!   promise for that week is kept. So "the end of the month", "this month", "in May" are the month's last day, quarters and
//!   years alike; "early" and "the start of" are the first day (Monday of a week), "the middle" the 15th or Wednesday;
//!   a weekend is its Sunday.
//! - "In" and "within two weeks" are 14 days on; working days skip Saturdays and Sundays; hours are counted from midnight's
//!   day, so "within two hours" is the day of the call.
//! - A day and month without a year lie on or after the day of the call; "the 25th" is the next 25th there is.
//!
//! The crate `interim` reads days with months and amounts of time. Its weekdays are left aside: in its British dialect
//! "next Wednesday", said on a Friday, is twelve days away.

use chrono::{Datelike, Days, Months, NaiveDate, NaiveTime, TimeZone, Utc, Weekday};
use interim::{Dialect, parse_date_string};

/// What a phrase says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum When {
    /// This many days after the call.
    Days(u64),
    Weekday {
        day: Weekday,
        next: bool,
        this: bool,
        later: bool,
    },
    /// An amount of time after the call.
    After {
        count: i64,
        unit: Unit,
        working: bool,
    },
    /// An amount of time after "now", "today", "tomorrow" or a weekday.
    From {
        count: i64,
        unit: Unit,
        from: String,
    },
    Period {
        next: bool,
        period: Unit,
        edge: Edge,
    },
    Month {
        month: String,
        edge: Edge,
    },
    Day {
        day: u32,
        month: String,
        year: Option<String>,
    },
    DayOfMonth(u32),
    Iso(String),
    /// A date, but not one to come.
    Past,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Minute,
    Hour,
    Day,
    Week,
    Fortnight,
    Weekend,
    Month,
    Quarter,
    Year,
}

impl Unit {
    pub fn of(word: &str) -> Option<Self> {
        Some(match word {
            "minute" => Self::Minute,
            "hour" => Self::Hour,
            "day" => Self::Day,
            "week" => Self::Week,
            "fortnight" => Self::Fortnight,
            "weekend" => Self::Weekend,
            "month" => Self::Month,
            "quarter" => Self::Quarter,
            "year" => Self::Year,
            _ => return None,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    Start,
    Middle,
    End,
}

impl Edge {
    pub fn of(word: &str) -> Self {
        match word {
            "beginning" | "start" | "early" => Self::Start,
            "middle" | "mid" => Self::Middle,
            _ => Self::End,
        }
    }
}

/// The day that is meant by what was said on `day`; None where there is none, or none to come.
pub(crate) fn resolve(when: &When, day: NaiveDate) -> Option<NaiveDate> {
    match when {
        When::Days(days) => day.checked_add_days(Days::new(*days)),
        &When::Weekday { day: weekday, next, this, later } => {
            let monday = monday(day, next)?;
            let in_week = monday.checked_add_days(Days::new(u64::from(weekday.num_days_from_monday())))?;
            if next || (this && in_week >= day) {
                return Some(in_week);
            }
            coming(day, weekday)?.checked_add_days(Days::new(if later { 7 } else { 0 }))
        }
        &When::After { count, unit, working } => after(day, count, unit, working),
        When::From { count, unit, from } => {
            let from = match from.as_str() {
                "now" | "today" => day,
                "tomorrow" => day.succ_opt()?,
                weekday => coming(day, weekday.parse().ok()?)?,
            };
            after(from, *count, *unit, false)
        }
        &When::Period { next, period, edge } => period_day(day, next, period, edge),
        When::Month { month, edge } => {
            let first = read(&format!("1 {month}"), day.with_day(1)?)?;
            edge_of(first, first.checked_add_months(Months::new(1))?.pred_opt()?, *edge)
        }
        When::Day { day: number, month, year } => {
            read(&format!("{number} {month} {}", year.as_deref().unwrap_or_default()), day)
        }
        &When::DayOfMonth(number) => (0..12)
            .filter_map(|months| day.with_day(1)?.checked_add_months(Months::new(months))?.with_day(number))
            .find(|found| *found >= day),
        When::Iso(date) => date.parse().ok(),
        When::Past => None,
    }
}

/// A day and month, or an amount of time, read by `interim`; a day that is past moves to the next year.
fn read(phrase: &str, day: NaiveDate) -> Option<NaiveDate> {
    let base = Utc.from_utc_datetime(&day.and_time(NaiveTime::MIN));
    let phrase = phrase.trim();
    let found = parse_date_string(phrase, base, Dialect::Uk).ok()?.date_naive();
    if found >= day {
        Some(found)
    } else {
        Some(parse_date_string(&format!("next {phrase}"), base, Dialect::Uk).ok()?.date_naive())
    }
}

fn after(day: NaiveDate, count: i64, unit: Unit, working: bool) -> Option<NaiveDate> {
    // More than a century is a misheard number.
    let count = u32::try_from(count).ok().filter(|count| *count <= 36_500)?;
    if working && unit == Unit::Day {
        let mut left = count;
        let mut day = day;
        while left > 0 {
            day = day.succ_opt()?;
            left -= u32::from(day.weekday().num_days_from_monday() < 5);
        }
        return Some(day);
    }
    let word = match unit {
        Unit::Minute => return day.checked_add_days(Days::new(u64::from(count / (24 * 60)))),
        Unit::Hour => return day.checked_add_days(Days::new(u64::from(count / 24))),
        Unit::Fortnight => return day.checked_add_days(Days::new(u64::from(count) * 14)),
        Unit::Day => "days",
        Unit::Week | Unit::Weekend => "weeks",
        Unit::Month => "months",
        Unit::Quarter => return day.checked_add_months(Months::new(count * 3)),
        Unit::Year => "years",
    };
    // The crate reads four digits.
    (count <= 9999).then(|| read(&format!("{count} {word}"), day)).flatten()
}

/// Monday of the week of `day`, or of the next.
fn monday(day: NaiveDate, next: bool) -> Option<NaiveDate> {
    let monday = day.checked_sub_days(Days::new(u64::from(day.weekday().num_days_from_monday())))?;
    monday.checked_add_days(Days::new(if next { 7 } else { 0 }))
}

/// The first such weekday strictly after `day`.
fn coming(day: NaiveDate, weekday: Weekday) -> Option<NaiveDate> {
    let ahead = (7 + weekday.num_days_from_monday() - day.weekday().num_days_from_monday()) % 7;
    day.checked_add_days(Days::new(if ahead == 0 { 7 } else { u64::from(ahead) }))
}

fn period_day(day: NaiveDate, next: bool, period: Unit, edge: Edge) -> Option<NaiveDate> {
    let months = |first: NaiveDate, count: u32| {
        let first = first.checked_add_months(Months::new(if next { count } else { 0 }))?;
        edge_of(first, first.checked_add_months(Months::new(count))?.pred_opt()?, edge)
    };
    match period {
        Unit::Month => months(day.with_day(1)?, 1),
        Unit::Quarter => months(NaiveDate::from_ymd_opt(day.year(), day.month0() / 3 * 3 + 1, 1)?, 3),
        Unit::Year => months(NaiveDate::from_ymd_opt(day.year(), 1, 1)?, 12),
        Unit::Weekend => monday(day, next)?.checked_add_days(Days::new(6)),
        _ => {
            let monday = monday(day, next)?;
            let ahead = match edge {
                Edge::Start => 0,
                Edge::Middle => 2,
                Edge::End => 4,
            };
            let found = monday.checked_add_days(Days::new(ahead))?;
            if found >= day { Some(found) } else { monday.checked_add_days(Days::new(6)) }
        }
    }
}

fn edge_of(first: NaiveDate, last: NaiveDate, edge: Edge) -> Option<NaiveDate> {
    match edge {
        Edge::Start => Some(first),
        Edge::Middle => first.with_day(15),
        Edge::End => Some(last),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(day: &str, when: &When) -> String {
        resolve(when, day.parse().unwrap()).map_or(String::new(), |day| day.to_string())
    }

    #[test]
    fn weekdays() {
        let weekday = |day, next, this, later| When::Weekday { day, next, this, later };
        // 2026-03-06 is a Friday.
        assert_eq!(on("2026-03-06", &weekday(Weekday::Fri, false, false, false)), "2026-03-13");
        assert_eq!(on("2026-03-06", &weekday(Weekday::Fri, false, true, false)), "2026-03-06");
        assert_eq!(on("2026-03-06", &weekday(Weekday::Wed, true, false, false)), "2026-03-11");
        assert_eq!(on("2026-03-08", &weekday(Weekday::Mon, true, false, false)), "2026-03-09");
        assert_eq!(on("2026-03-03", &weekday(Weekday::Mon, false, false, true)), "2026-03-16");
    }

    #[test]
    fn periods_and_years() {
        let period = |next, period, edge| When::Period { next, period, edge };
        assert_eq!(on("2026-12-30", &period(true, Unit::Month, Edge::End)), "2027-01-31");
        assert_eq!(on("2026-03-07", &period(false, Unit::Week, Edge::End)), "2026-03-08");
        assert_eq!(on("2026-03-03", &period(false, Unit::Quarter, Edge::End)), "2026-03-31");
        assert_eq!(on("2026-03-03", &period(true, Unit::Quarter, Edge::End)), "2026-06-30");
        assert_eq!(on("2026-03-03", &period(false, Unit::Year, Edge::End)), "2026-12-31");
        assert_eq!(on("2026-03-03", &period(false, Unit::Weekend, Edge::End)), "2026-03-08");
        assert_eq!(on("2026-11-03", &When::Month { month: "february".into(), edge: Edge::End }), "2027-02-28");
        assert_eq!(on("2026-12-30", &When::Day { day: 14, month: "march".into(), year: None }), "2027-03-14");
        assert_eq!(on("2026-01-30", &When::DayOfMonth(29)), "2026-03-29");
        assert_eq!(on("2026-01-30", &When::Day { day: 30, month: "february".into(), year: None }), "");
        assert_eq!(on("2026-01-30", &When::After { count: i64::MAX, unit: Unit::Day, working: true }), "");
    }
}
