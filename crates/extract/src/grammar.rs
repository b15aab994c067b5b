//! What commitments, requests and proposals to meet look like, in the plain spelling of [`crate::text::Sentence`].
//!
//! A [`Cue`] is the part of a clause that says who is to act ("I will", "could you please"); what follows it is the action.
//! A cue alone proves little: "I will" also opens "I will be honest". The confidence of a follow-up is the cue's own weight
//! plus what the verb, its complement and a date add ([`weigh_verb`], `follow_up::weigh`).

use regex::Regex;
use std::sync::LazyLock;

/// Who is to act, seen from the speaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Speaker,
    Other,
}

/// What kind of clause a cue opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Commitment,
    /// "Let me": most often done at once.
    LetMe,
    /// "Shall I", "would you like me to": a commitment once the other side accepts.
    Offer,
    /// "Someone will", said of the speaker's own side.
    Third,
    /// "You will have it by Friday": the speaker's side delivers.
    Delivery,
    Request,
    /// "Could you please": asked of the other side, as a question.
    Asking,
    /// A bare imperative at the start of a sentence.
    Imperative,
    /// "We need your signature": what is needed is a thing.
    Need,
    /// "Let us meet".
    Meeting,
    /// "Shall we meet?"
    MeetingQuestion,
}

/// A way to open a clause.
pub(crate) struct Cue {
    /// The action starts behind the match, or at the group "act".
    pub pattern: Regex,
    pub form: Form,
    pub owner: Owner,
    pub weight: f32,
}

/// Adverbs and the like between the cue and its verb.
const ADVERBS: &str = "(?:(?:just|also|then|definitely|certainly|probably|now|actually|personally|quickly|still|always|gladly|happily|\
    first|maybe|perhaps|please|kindly|possibly|quick|go ahead and|go and|be sure to|make sure to|try to|try and|\
    be able to|need to|have to|of course|next|as well|, please ,|once again|therefore|simply|again|either|both|all|instead|\
    immediately|right away|today|tomorrow|really|ever|in turn|at least|only|basically|obviously|absolutely|happy to) )*";

const OURS: &str = "(?:(?:my|our) (?:colleague|manager|boss|supervisor|team|sales team|support team|technician|engineers?|lawyers?|\
    accountants?|assistant|office|department|billing team|billing department|account manager|finance team|specialist|director))";

/// All cues, the more specific before the more general where they share words.
pub(crate) static CUES: LazyLock<Vec<Cue>> = LazyLock::new(|| {
    use Form::{
        Asking, Commitment, Delivery, Imperative, LetMe, Meeting, MeetingQuestion, Need, Offer, Request, Third,
    };
    use Owner::{Other, Speaker};
    let table: [(&str, Form, Owner, f32); 36] = [
        // commitments
        (r"\b(?:i|we) (?:will|shall) {A}", Commitment, Speaker, 0.45),
        (r"\b(?:i|we) {A}(?:am|are) {A}(?:going to|about to|planning to) {A}", Commitment, Speaker, 0.4),
        (
            r"\bwhat (?:i|we) (?:will|can|am going to|are going to) do is ,? ?(?:(?:i|we) (?:will|can) |to )?{A}",
            Commitment,
            Speaker,
            0.45,
        ),
        (
            r"\b(?:i|we) (?:am|are|would be|will be) {A}(?:happy|glad|able|pleased|delighted) to {A}",
            Commitment,
            Speaker,
            0.3,
        ),
        (
            r"\b(?:i|we) (?:promise|guarantee) (?:you )?(?:to|that (?:i|we) will|(?:i|we) will) {A}",
            Commitment,
            Speaker,
            0.5,
        ),
        (r"\b(?:i|we) can {A}", Commitment, Speaker, 0.25),
        (r"\b(?:i|we) could {A}", Commitment, Speaker, 0.1),
        (
            r"\b(?:i|we) (?:am|are) (?:sending|emailing|mailing|forwarding|calling|booking|scheduling) ",
            Commitment,
            Speaker,
            0.2,
        ),
        (r"\blet (?:me|us) {A}", LetMe, Speaker, 0.2),
        (r"\b(?:shall|should) (?:i|we) {A}", Offer, Speaker, 0.15),
        (
            r"\b(?:can|could|may) (?:i|we) {A}(?P<act>(?:send|email|mail|text|call|ring|book|forward|arrange) (?:it to )?you) ",
            Offer,
            Speaker,
            0.15,
        ),
        (
            r"\b(?:would you like|do you want|would you prefer|if you like|if you want) (?:me|us) to {A}",
            Offer,
            Speaker,
            0.15,
        ),
        (
            r"\b(?:someone|some 1|somebody|a colleague|one of (?:my|our) [a-z]+|the (?:technician|engineer|team|manager)|{O}) (?:from [a-z]+ )?(?:will|is going to|are going to) {A}",
            Third,
            Speaker,
            0.35,
        ),
        (r"\b(?:he|she|they) (?:will|are going to|is going to) {A}", Third, Speaker, 0.1),
        (r"\byou (?:will|should) {A}(?:have|get|receive) ", Delivery, Speaker, 0.3),
        // requests
        (r"\b(?:could|can|would|will) you {A}", Asking, Other, 0.45),
        (r"\b(?:would|do) you mind {A}", Asking, Other, 0.4),
        (r"\b(?:would|could|will|can|are) you {A}(?:be )?(?:able|willing|so kind as) to {A}", Asking, Other, 0.4),
        (
            r"\b(?:is it|would it be|is there any way|any chance|do you think) ,? ?(?:possible )?(?:for )?(?:you )?(?:to|can|could) {A}",
            Asking,
            Other,
            0.35,
        ),
        (
            r"\b(?:wondering|wonder|wondered|hoping) (?:if|whether) you (?:could|can|would|might) {A}",
            Asking,
            Other,
            0.45,
        ),
        (r"\bwhy do not you {A}", Request, Other, 0.3),
        (
            r"\b(?:appreciate it|appreciated|great|good|nice|helpful|grateful|thankful|lovely|wonderful|perfect|fantastic|best) if you (?:could|would|can) {A}",
            Request,
            Other,
            0.45,
        ),
        (r"\bif you (?:could|would|can) {A}", Request, Other, 0.3),
        (
            r"\bplease (?:do not forget to|remember to|make sure to|make sure you|be sure to|ensure that you|also|just|then|,|you can|go ahead and) ?{A}",
            Request,
            Other,
            0.5,
        ),
        (r"\bplease {A}", Request, Other, 0.5),
        (
            r"\b(?:i|we) (?:just |also |still |really )?(?:need|want|would like|would love|expect|would ask|would prefer) you {A}to {A}",
            Request,
            Other,
            0.45,
        ),
        (
            r"\b(?:do not forget to|remember to|make sure to|make sure you|make sure that you|be sure to|see if you can|see that you) {A}",
            Request,
            Other,
            0.35,
        ),
        (r"\b(?:someone|some 1|somebody) (?:should|must|needs to|has to|ought to) {A}", Request, Other, 0.35),
        (r"\byou (?:will |would |just |also )*(?:need|have|ought|are supposed|are going) to {A}", Request, Other, 0.25),
        (r"\byou (?:should|must|can|could|might want to|may want to) {A}", Request, Other, 0.15),
        (r"\b(?:all )?(?:i|we) (?:just |still |only |also )?need (?:is |from you is )?(?:your) ", Need, Other, 0.35),
        // meetings
        (r"\blet us {A}", Meeting, Speaker, 0.5),
        (r"\b(?:i|we) (?:would like|suggest|propose|want) (?:that )?(?:we |to |we should ){A}", Meeting, Speaker, 0.15),
        (
            r"\b(?:shall|should|can|could|why do not|why can not|how about|what if|maybe|perhaps) we (?:can |could |should )?{A}",
            MeetingQuestion,
            Speaker,
            0.25,
        ),
        // "next Thursday at two to go through it together", whatever came before
        (
            r"(?:\blet (?:me|us) [a-z0-9 ]{0,40}?)?\b(?P<act>(?:go through|go over|look at|discuss|review) [a-z0-9 ]{1,40}? together)\b",
            Meeting,
            Speaker,
            0.25,
        ),
        // imperatives: the verb itself is the cue
        (
            r"^(?:(?:okay|yes|yeah|so|and|then|well|great|perfect|good|sure|right|alright|thanks|thank you|no|hi|[a-z]+ ,|just|also|now|,|but|or|in that case|in the meantime) )*{A}",
            Imperative,
            Other,
            0.3,
        ),
    ];
    table
        .into_iter()
        .map(|(pattern, form, owner, weight)| {
            let pattern = pattern.replace("{A}", ADVERBS).replace("{O}", OURS);
            // The patterns are constant and compiled by every test.
            Cue { pattern: Regex::new(&pattern).expect("a constant pattern"), form, owner, weight }
        })
        .collect()
});

/// How telling a verb is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Sending, calling, booking: what people do after a call.
    Task,
    /// Known, and neither.
    Plain,
    /// Not in the lists.
    Unknown,
    /// Done while talking: waiting, looking, explaining.
    InCall,
    /// Not an act at all.
    Never,
}

const TASK: &str = "send email mail forward call ring phone text message fax copy invite schedule reschedule book rebook share \
    arrange organize organise update fix repair replace order reorder refund reimburse credit cancel issue reissue prepare write draft \
    review sign ask contact inform notify tell remind discuss speak talk confirm check investigate submit deliver bring ship \
    return pay transfer upload download install deploy activate deactivate enable disable upgrade downgrade renew extend \
    include add remove delete change correct amend adjust complete fill finalize finalise finish approve escalate \
    document log register open close reopen reset restore test verify research compare calculate quote invoice bill meet visit attend join \
    withdraw print attach provide collect chase report respond reply answer follow assign request file raise post publish \
    dispatch process proceed push pull move merge train present demo introduce recommend waive reduce lower apply recalculate \
    circulate distribute produce create build design implement conduct analyze analyse evaluate assess gather compile summarize \
    summarise consult coordinate negotiate revise edit rewrite resend resubmit return redo reimburse sort pick buy purchase \
    drop hand leave plan look find figure get give make put set take turn let keep reach touch work come go have try switch \
    cover mention run start stop show spend double need use read think note pass bear fill click go visit hold draw scan handle";

/// Verbs among [`TASK`] that mean too many things alone: they count as plain unless a phrase below makes them a task.
const LIGHT: &str = "look find figure get give make put set take turn let keep reach touch work come go have try switch cover \
    mention run start stop show spend need use read think note pass bear click hold open double follow close answer hand drop leave \
    tell check try pick handle draw move work push pull raise bill";

/// Verb phrases that are tasks.
const TASK_PHRASES: &str = r"^(?:get (?:back|in touch|hold|on to|onto)|get (?:you|him|her|them|it|that|this|those|these|the|an?|your|someone|somebody|everything) |(?:give|drop|send) (?:you|him|her|them|me|us|my|our|the|[a-z]+) (?:an? |another |some )?(?:quick |short |rough )?(?:call|ring|shout|email|line|note|update|feedback|estimate|quote|message|heads up|answer|response|buzz|tour|demo)|give (?:him|her|them|my|our|the|your|that|this) |let (?:you|him|her|them|[a-z]+|my [a-z]+|our [a-z]+|the [a-z]+) know|let (?:the|your|our|my) |keep (?:you|me|us) (?:posted|updated|informed|in the loop)|follow up|follow through|find out|find (?:you |us |a |an |the |out|someone|somebody|another)|figure out|look into|look (?:it |that |this |them )?(?:up|over)|take (?:a look at|care|over|another look)|take (?:it|that|this) (?:up|to|over|offline|back)|set (?:up|aside)|set (?:it|that|this|an?|the|up) |put (?:you|it|that|this|them|an?|the|\d+|together|in|some|up|down|something) |make (?:sure|an?|the|that|those|these|your|it|up) |turn (?:it|that|this|them|on|off|the)|reach out|touch base|sort (?:out|it|that)|leave (?:you|him|her|them|a|it|the)|pick (?:it|them|you|up|a|the)|hand (?:it|this|that|over|in|the)|drop (?:it|you|off|by|in)|come (?:back to|by|over|in|out|up with)|go (?:back to|through the|over the|and|to|ahead)|work (?:on|with|out|up)|try (?:it|that|again|the|out|to (?:get|call|reach|send|find|fix))|switch (?:it|that|you|the|to|on|off)|show (?:him|her|them|it|this)|run (?:it|this|that|the|a) |start (?:the|on|working|with the|an?) |stop (?:the|by|it)|have (?:\w+ ){1,3}(?:send|email|call|contact|ring|review|check|fix|sign|give|reach)\b|have (?:someone|somebody|him|her|them|my|our|the|it|that|this|a (?:short |quick |brief |another |follow up |second |first )?(?:call|meeting|chat|talk|session|discussion|conversation|word))|pass (?:it|this|that|on|them|the|your|along)|read (?:it|through|the|over|up)|use (?:the|your|it|this)|note (?:it|that|this|down)|tell (?:him|her|them|my|our|the|your|their|his|[a-z]+ (?:to|about|that))|check (?:with|whether|if|it|that|the|on|in|my|our|your|what|when|how|this|for|out|and)|open (?:an?|it|the|up)|close (?:the|it|out|that)|answer (?:the|your|that|those)|move (?:it|the|that|forward|on|ahead)|push (?:it|the|that)|pull (?:it|the|together|that|up)|raise (?:it|the|an?|this|that)|bill (?:you|the|it)|handle (?:it|that|this|the)|draw (?:up|a)|click (?:on|the|here)|show up|cover (?:the|that|it|this)|mention (?:it|that|this|the))";

/// Verb phrases that are done while talking, or mean nothing.
const IN_CALL_PHRASES: &str = r"^(?:(?:have|take) an? (?:\w+ )?(?:look|think|moment|second|minute|see|guess|seat)|tell (?:me|us|you)|give (?:me|us) (?:your|the|that|one|\d+|just|a (?:second|minute|moment|sec|little|bit)|[\w ]{0,25}?\b(?:number|information|address|name|code|idea|figure|postcode)\b)|give (?:it|you an idea|you an example)|ask you|call (?:it|that|this|them) an?|look at (?:it|that|this)|let (?:me|us) (?:know|see|check|have|just|ask|think|look)|check (?:that|it|this) for you|check for you|check on that for you|check$|look (?:it up|that up|into it|into that)? ?for you|look for you|get (?:you|your|that|it|those|the) [\w ]*(?:up|on the screen|through)\b|get (?:me|us) (?:your|the)|get through|get (?:to|into|started|on)\b|put (?:you|me|him|her|us|them) (?:through|on|back)|put (?:you|me) [\w ]*hold|make a note|go (?:through|over|into|ahead|on|back|first|with)|open (?:it|that)$|turn (?:it|the call|the floor|over|that) (?:back |over )?to|turn now to|talk (?:about|you through|me through)|speak to (?:that|this|it)|add (?:that|to that|one|just)|take (?:that|this|it|the|your|a) (?:question|one|first|next|step)|start (?:with|off|by)|leave it (?:there|at that)|ask (?:the|our|your) (?:next|question|operator|first)|keep (?:it|that|this|in mind|going)|come (?:back )?to (?:that|you)|answer (?:that|this|your|the) (?:question|one)?|make (?:it|that|this|the (?:point|assumption)|a (?:comment|point|couple|few))|remind (?:me|you|everyone|everybody|us)|mention (?:that|is)|note that|say|try (?:that|it|this)? ?(?:now|again)|walk (?:you|me|us|through)|confirm (?:your|the|that) (?:[\w ]{0,20})?(?:name|address|postcode|postal code|number|date of birth|details|email)|test (?:it|that)? ?now|let you go|find (?:it|that|them)$|find out if$|transfer (?:you|me|your call|the call|him|her|this call)|pass you|show you|close (?:with|by)|open (?:it |the call )?(?:up )?(?:for|to) questions|provide (?:some|more|a little|additional) (?:color|colour|detail|context)|discuss (?:that|this|the (?:results|quarter))|read (?:that|it)|hand (?:it|the call|you) (?:back |over )?to|send (?:it|the call|you) (?:back|over) to|turn to|update you on|get (?:your|some|any) (?:thoughts|color|colour|sense)|move (?:on|to)|take (?:you|us) through|run through|run (?:you|us) through|check one|do (?:that|this|it)|talk (?:more|a (?:little|bit)|to (?:that|this|it)|through)|report that|proceed|conduct a question|hand over|open up|(?:give|provide|share|offer|put|add)\b[\w ]{0,40}\b(?:sense|colou?r|perspective|thoughts|thinking|insight|insights|overview|breakdown|context|parameters|expectations|outlook|guidance)|try (?:that|the|this|your)|ring own|report on)\b";

const IN_CALL: &str = "wait hold see hear look say explain describe repeat spell walk guess bear connect transfer pop hang speak_up try \
    clarify elaborate comment remember forget begin imagine show help assist read listen click type press summarize recap quantify \
    highlight address cover reiterate frame touch";
const NEVER: &str = "be not never say know think guess hope love like want wish mean admit agree assume believe suppose feel prefer \
    recommend_ understand consider afford need tolerate continue remain expect see stay live die seem become appreciate \
    have_to enjoy bet swear trust doubt hear regret hate care mind notice miss survive deal win lose ever no imagine stop the a an \
    i we you he she it they that this what when where who how why and or but so for of at in on with to from by about if is are was were \
    my your our their his her its all some any there here yes no okay please thank thanks , good great still allow enable";

static SETS: LazyLock<[std::collections::HashSet<&'static str>; 4]> =
    LazyLock::new(|| [TASK, LIGHT, IN_CALL, NEVER].map(|list| list.split_whitespace().collect()));
static TASK_PHRASE: LazyLock<Regex> = LazyLock::new(|| Regex::new(TASK_PHRASES).expect("a constant pattern"));
static IN_CALL_PHRASE: LazyLock<Regex> = LazyLock::new(|| Regex::new(IN_CALL_PHRASES).expect("a constant pattern"));

/// How telling the verb at the start of an action is.
pub(crate) fn weigh_verb(action: &str) -> Verb {
    let verb = action.split(' ').next().unwrap_or_default();
    let [task, light, in_call, never] = &*SETS;
    if IN_CALL_PHRASE.is_match(action) {
        Verb::InCall
    } else if TASK_PHRASE.is_match(action) {
        Verb::Task
    } else if in_call.contains(verb) {
        Verb::InCall
    } else if light.contains(verb) {
        Verb::Plain
    } else if never.contains(verb) {
        Verb::Never
    } else if task.contains(verb) {
        Verb::Task
    } else {
        Verb::Unknown
    }
}

/// Whether a word can be the verb of a coordinated action ("and send it").
pub(crate) fn is_verb(word: &str) -> bool {
    SETS[0].contains(word)
}

/// Whether an action is to meet.
pub(crate) fn is_meeting(action: &str) -> bool {
    static MEETING: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r"^(?:meet\b|(?:go through|go over|look at|discuss|review)\b[\w ]{0,40} together\b|catch up|touch base|get together|reconnect|sync\b|(?:talk|speak|chat)(?: again| then| on| at| next| tomorrow| about)?\b|(?:schedule|reschedule|book|set up|arrange|organi[sz]e|plan|have|hold|do|put|block|find|set|jump on|hop on|get|fix|reserve|send|agree on|make)\b[\w ]{0,40}?\b(?:meeting|call|demo|demonstration|appointment|session|chat|minutes|half hour|half an hour|an hour|slot|some time|a time|review|training|visit|discussion|follow up|workshop|check in|invite|conversation)\b)";
        Regex::new(pattern).expect("a constant pattern")
    });
    static NOT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?:send|get|make)\b|\b(?:put|add|enter)\b.*\bin (?:the|my|your) (?:calendar|diary)|^(?:talk|speak|chat) (?:to|with|about)")
            .expect("a constant pattern")
    });
    MEETING.is_match(action) && !NOT.is_match(action)
}

/// Where a clause ends: the byte of `plain` at which the next begins, looked for from `from`.
pub(crate) fn clause_end(plain: &str, from: usize) -> usize {
    const SUBJECT: &str = "(?:i|we|you|he|she|it|they|that|this|there|let|could|can|would|will|what|who|please|someone|somebody|is|do|does|if|when|also could|then i|then we|maybe|hopefully|thanks|thank|the rest|the other|(?:your|our|my|the|his|her|their) [a-z]+(?: [a-z]+)? (?:will|can|could|is|are|has|have|should|would|does|was))";
    static END: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = format!(
            r" (?:, )?(?:and|but|so|or|because|since|then|although|though|while|whereas|plus|and then|and also|so that|cause) (?:then |also |maybe |, )?{SUBJECT}\b| , (?:which|who|so|but|because|unless|okay|right|alright|yeah|yes|thanks|thank|is|does|would|i|we|you|they|he|she|it|do|then|therefore|that|please|could|can|if|when|just|let|since|although|and then|now|great|perfect|or not|not|what|how|unlike|though|where|otherwise)\b| (?:unless|because|okay|alright|yeah|thanks|thank you|is that|does that|would that|i will|i am|i have|we will|we are|i can|we can|i just|i think|could you|can you|please|so i|so we|so you|but|bye|goodbye|right|otherwise)\b| (?:if|in case) (?:you|i|we|it|that|they|he|she|there|anything|the|your|possible|need)\b"
        );
        Regex::new(&pattern).expect("a constant pattern")
    });
    END.find_at(plain, from).map_or(plain.len(), |found| found.start())
}
