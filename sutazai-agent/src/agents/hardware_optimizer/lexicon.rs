//! Lexicon of the words that a model may use in advice, by part of speech.
//!
//! Words that are not listed here cannot appear outside an authored phrase. The *neutral* words assert nothing about a
//! machine and are always allowed. A *topic* word is allowed only if the finding's own sentences have one of its forms,
//! or if the command of the sentence shows such things ([`COMMANDS`]). So advice about a disk cannot speak of memory,
//! and advice about use cannot speak of failure. No list has words of negation, comparison of amounts, completion,
//! reassurance or alarm, or numbers.
//!
//! Entries are separated by spaces. Nouns are written `singular/plural`. Verbs have five forms: base, third person,
//! present participle, past and past participle. An empty form does not exist, `_` stands for a space and `|` for a
//! slash.

/// Nouns that assert nothing about a machine.
pub(super) const NEUTRAL_NOUNS: &str = "\
    process/processes program/programs application/applications service/services task/tasks job/jobs \
    machine/machines system/systems user/users owner/owners part/parts place/places thing/things list/lists \
    overview/overviews detail/details entry/entries number/numbers rate/rates load/loads direction/directions \
    performance/ speed/speeds percentage/percentages count/counts total/totals amount/amounts share/shares \
    size/sizes value/values figure/figures state/states status/ name/names output/ top/ use/ usage/ consumption/ \
    consumer/consumers summary/summaries breakdown/breakdowns picture/pictures report/reports table/tables \
    row/rows snapshot/snapshots view/views information/ data/ ranking/rankings order/ level/levels sum/sums \
    configuration/ behavior/ activity/ resource/resources property/properties type/types kind/kinds rest/ \
    reason/reasons cause/causes /ones";

/// Nouns without a plural that need no article; their singular forms are listed above or below.
pub(super) const MASS_NOUNS: &str = "\
    use usage consumption output status memory RAM swap space storage time traffic pressure load work air dust \
    access I/O activity reading writing room input latency steal synchronization health bandwidth CPU \
    information data behavior configuration swapping";

/// Nouns for the things that rules are about.
pub(super) const TOPIC_NOUNS: &str = "\
    memory/ RAM/ swap/ swapping/ space/ storage/ room/ area/areas disk/disks drive/drives device/devices \
    volume/volumes file/files filesystem/filesystems folder/folders directory/directories inode/inodes \
    mount/mounts option/options processor/processors CPU/CPUs core/cores time/times pressure/ queue/queues \
    priority/priorities column/columns page/pages read/reads write/writes steal/ host/hosts \
    hypervisor/hypervisors guest/guests provider/providers thread/threads group/groups control/controls \
    limit/limits container/containers image/images log/logs journal/journals message/messages line/lines \
    warning/warnings error/errors kernel/kernels setting/settings health/ check/checks code/codes parent/parents \
    child/children zombie/zombies descriptor/descriptors connection/connections socket/sockets handle/handles \
    network/networks interface/interfaces packet/packets counter/counters statistic/statistics port/ports \
    cable/cables switch/switches driver/drivers buffer/buffers burst/bursts traffic/ sensor/sensors \
    temperature/temperatures heat/ reading/readings fan/fans air/ dust/ GPU/GPUs card/cards graphics/ \
    model/models context/contexts power/ clock/clocks server/servers source/sources step/steps offset/offsets \
    synchronization/ request/requests response/responses latency/latencies access/accesses I|O/ input/ \
    operation/operations reading/ writing/ work/ workload/workloads drop/drops loss/losses end/ends \
    restart/restarts session/sessions cache/caches bandwidth/ segment/segments link/links listener/listeners \
    backlog/backlogs";

/// Verbs that assert nothing about a machine.
pub(super) const NEUTRAL_VERBS: &str = "\
    use/uses/using/used/used hold/holds/holding/held/held take/takes/taking/took/taken \
    take_up/takes_up/taking_up/took_up/taken_up need/needs/needing/needed/needed run/runs/running/ran/run \
    write/writes/writing/wrote/written read/reads/reading/read/read keep/keeps/keeping/kept/kept \
    have/has/having/had/ do/does/doing/did/done occupy/occupies/occupying/occupied/occupied \
    consume/consumes/consuming/consumed/consumed own/owns/owning/owned/owned \
    contain/contains/containing/contained/contained belong/belongs/belonging/belonged/ go/goes/going/went/gone \
    come/comes/coming/came/ get/gets/getting/got/ account/accounts/accounting/accounted/ \
    produce/produces/producing/produced/produced create/creates/creating/created/created \
    show/shows/showing/showed/shown report/reports/reporting/reported/reported look/looks/looking/looked/ \
    spend/spends/spending/spent/spent fare/fares/faring/fared/ locate////located divide////divided \
    distribute////distributed share/shares/sharing/shared/shared request/requests/requesting/requested/requested \
    store/stores/storing/stored/stored behave/behaves/behaving/behaved/ sit/sits/sitting/sat/ lie/lies/lying// \
    live/lives/living// measure////measured configure////configured \
    allocate/allocates/allocating/allocated/allocated claim/claims/claiming/claimed/claimed \
    work/works/working/worked/ fill/fills/filling/filled/filled fill_up/fills_up/filling_up/filled_up/filled_up \
    say/says/saying/said/said print/prints/printing/printed/printed move/moves/moving/moved/moved \
    make_up/makes_up/making_up/made_up/made_up serve/serves/serving/served/served \
    handle/handles/handling/handled/handled return/returns/returning/returned/returned \
    compare/compares/comparing/compared/compared develop/develops/developing/developed/ \
    change/changes/changing/changed/ vary/varies/varying/varied/ happen/happens/happening/happened/ \
    list////listed find////found see////seen";

/// Verbs that assert something about a machine.
pub(super) const TOPIC_VERBS: &str = "\
    wait/waits/waiting/waited/ block/blocks/blocking/blocked/blocked stick////stuck hang/hangs/hanging/hung/hung \
    grow/grows/growing/grew/grown end/ends/ending/ended/ended kill////killed \
    affect////affected terminate////terminated \
    start/starts/starting/started/started restart/restarts/restarting/restarted/restarted \
    exit/exits/exiting/exited/exited fail/fails/failing/failed/failed open/opens/opening/opened/opened \
    close/closes/closing/closed/closed mount/mounts/mounting/mounted/mounted drop/drops/dropping/dropped/dropped \
    receive/receives/receiving/received/received send/sends/sending/sent/sent hold_up////held_up \
    delay////delayed rise/rises/rising/rose/risen leave_behind////left_behind collect////collected \
    enable////enabled report/reports/reporting/reported/reported steal/steals/stealing/stole/stolen \
    limit/limits/limiting/limited/limited throttle/throttles/throttling/throttled/throttled \
    swap/swaps/swapping/swapped/swapped log/logs/logging/logged/logged \
    synchronize/synchronizes/synchronizing/synchronized/synchronized answer/answers/answering/answered/answered \
    respond/responds/responding/responded/ load/loads/loading/loaded/loaded set////set \
    complain/complains/complaining/complained/ compete/competes/competing/competed/ ask/asks/asking/asked/asked \
    increase/increases/increasing/increased/increased";

/// Verbs of [`TOPIC_VERBS`] that may have an object. With an object, the others could reverse who acts: where processes
/// end, no process ends another.
pub(super) const TRANSITIVE: &str = "\
    start open close mount drop receive send report limit swap log load ask";

/// Classes of things that share assertions: what the finding's sentences assert of one thing may be asserted of its
/// whole class and of nothing else. So a task may wait for a disk, but no disk for a task.
pub(super) const CLASSES: &[&str] = &[
    "process/processes program/programs application/applications service/services task/tasks job/jobs \
     thread/threads worker/workers",
    "container/containers",
    "disk/disks drive/drives system/systems filesystem/filesystems folder/folders directory/directories \
     file/files log/logs",
    "packet/packets request/requests counter/counters connection/connections value/values error/errors",
    "machine/machines host/hosts",
    "interface/interfaces",
    "check/checks",
    "kernel/kernels",
];

/// Adjectives that assert nothing about a thing.
pub(super) const NEUTRAL_ADJECTIVES: &str = "\
    largest biggest heaviest highest greatest top main single individual current other own big large heavy \
    overall total detailed different running used whole various exact open first next upper last latest final \
    recent newest few relevant common complete";

/// Adjectives that assert something about a thing.
pub(super) const TOPIC_ADJECTIVES: &str = "\
    full fullest busy busier busiest hot hottest warm warmest free resident virtual active inactive \
    out-of-memory small smaller faulty slow slowest available mounted synchronized unhealthy read-only old";

/// Adjectives of [`TOPIC_ADJECTIVES`] and phrases that may follow `is`; none is a judgment.
pub(super) const PREDICATES: &str = "\
    full/full busy/busy hot/hot warm/warm free/free active/active available/available mounted/mounted \
    synchronized/synchronized synchronized/in_step unhealthy/unhealthy read-only/read-only";

/// Groups of synonyms: if the finding has one word of a group, all of them are allowed.
pub(super) const SYNONYMS: &[&str] = &[
    "memory ram",
    "processor cpu core time",
    "folder directory",
    "disk drive i/o access",
    "gpu graphics card",
    "kill end terminate affect",
    "wait block stick hold_up delay hang",
    "grow rise increase",
    "full fullest",
    "busy busiest busier",
    "hot hottest warm warmest temperature",
    "synchronize synchronized step synchronization offset",
    "log message line journal",
    "interface network",
    "steal stolen",
    "space room storage",
    "drop loss",
];

/// Words of the lists above for what a command shows, as pairs of the command's tokens and the words.
pub(super) const COMMANDS: &[(&str, &str)] = &[
    ("journalctl", "log journal message line kernel warning error last latest"),
    ("docker logs", "container log message line last latest final end write print say error"),
    ("docker stats", "container memory processor resource limit"),
    ("docker ps", "container restart"),
    ("docker inspect", "container setting limit health exit code"),
    ("docker update", "container limit memory processor"),
    ("du", "folder file space disk"),
    ("df", "file filesystem space disk full free available"),
    ("df -i", "inode free"),
    ("find", "file folder"),
    ("findmnt", "file filesystem mount option mounted"),
    ("free", "memory swap free available"),
    ("meminfo", "memory page"),
    ("swapon", "swap area device file space"),
    ("vmstat", "column page swap steal time processor disk memory"),
    ("iostat", "disk device request response time busy latency"),
    ("ps", "state memory processor busy"),
    ("nlwp", "thread"),
    ("top", "thread processor memory load busy"),
    ("ppid", "parent child"),
    ("sensors", "sensor temperature reading"),
    ("nvidia-smi", "gpu temperature memory"),
    ("ip", "interface network counter statistic packet error receive send drop"),
    ("ss", "connection port queue listener state address segment"),
    ("ss -s", "connection state number"),
    ("nf_conntrack_count", "connection entry table limit"),
    ("ip_local_port_range", "port connection"),
    ("somaxconn", "queue limit kernel"),
    ("inotify", "limit file"),
    ("pid_max", "limit process thread kernel"),
    ("timedatectl", "time server clock setting synchronize synchronized active source"),
    ("systemd-cgtop", "control group memory processor"),
    ("systemd-cgls", "control group"),
    ("smaps_rollup", "memory resident"),
    ("Rss", "memory resident"),
    ("status", "memory"),
    ("limits", "limit"),
    ("fd", "file connection open descriptor"),
    ("file-nr", "file limit open descriptor"),
    ("lsof", "file connection open descriptor"),
    ("memory", "memory pressure"),
    ("cpu", "processor pressure"),
    ("io", "disk pressure"),
];

/// Determiners of one thing.
pub(super) const DETERMINERS_SINGULAR: &str = "\
    the a an each every its their this any the_other your";

/// Determiners of several things.
pub(super) const DETERMINERS_PLURAL: &str = "\
    the all all_the all_of_the its their these those any some some_of_the most_of_the each_of_the other \
    the_other the_most many both your few the_fewest so_many several the_different";

/// Determiners of an amount.
pub(super) const DETERMINERS_MASS: &str = "\
    the its their most_of_the the_most much_of_the your this so_much little much";

/// Prepositions of place, time and relation.
pub(super) const PREPOSITIONS: &str = "\
    of in on for by with from at to among between under across per about around inside behind to_and_from within \
    next_to against up_to";

/// Adverbs of place or time at the end of a clause, for the present only.
pub(super) const ADVERBS: &str = "\
    now right_now at_the_moment currently together there in_use most the_most in_detail closely at_a_glance \
    first one_by_one in_total next at_present for_a_while a_few_times in_and_out and_back for_a_few_seconds \
    over_a_few_seconds over_some_seconds for_some_seconds for_a_minute over_time";

/// Verbs of looking that take a thing.
pub(super) const LOOK_AT_THING: &str = "\
    see find check look_at look_for look_through look_up list show identify inspect review examine watch monitor \
    observe read get get_an_overview_of have_a_look_at take_a_look_at keep_an_eye_on keep_track_of learn_about \
    find_out_about verify compare determine view display track go_through study explore follow measure locate \
    discover spot print sort count scan search obtain investigate analyze confirm look_closely_at \
    take_a_closer_look_at have_a_closer_look_at have_a_look_through pay_attention_to note query look_into \
    search_for know understand learn trace fetch open consult assess start_with begin_with look_first_at \
    get_a_list_of see_a_list_of look_in keep_watching keep_checking look_over look_out_for search_through \
    look_around_in get_an_idea_of get_a_picture_of dig_into";

/// Verbs of looking that take a question.
pub(super) const LOOK_INTO_QUESTION: &str = "\
    see find find_out check look_at look_up learn identify determine verify discover watch inspect list read \
    show examine review get_an_overview_of have_a_look_at look monitor observe look_into confirm understand \
    investigate figure_out work_out tell know spot see_exactly find_out_exactly track follow note display print \
    measure count trace locate get_an_idea_of view get_a_picture_of analyze explore study";

/// Verbs of looking after `start by` that take a thing.
pub(super) const LOOKING_AT_THING: &str = "\
    finding checking looking_at looking_for listing reading watching inspecting reviewing examining identifying \
    getting_an_overview_of comparing monitoring";

/// Verbs of looking after `start by` that take a question.
pub(super) const LOOKING_INTO_QUESTION: &str = "\
    finding_out checking looking_at seeing finding identifying determining watching learning";

/// Verbs for running a command.
pub(super) const RUN: &str = "\
    run use try start_with begin_with execute consider_running consider_using call type enter run_the_command \
    use_the_command turn_to try_the_command issue try_running consult";

/// Verbs for running or reading after `start by`.
pub(super) const RUNNING: &str = "\
    start_by_running begin_by_running start_by_using begin_by_using start_by_checking start_by_looking_at \
    begin_by_looking_at start_by_reading start_out_with";

/// Verbs for reading the output of a command.
pub(super) const OUTPUT: &str = "\
    look_at_the_output_of check_the_output_of read_the_output_of review_the_output_of have_a_look_at \
    take_a_look_at look_at check look_at_the_list_from use_the_output_of inspect_the_output_of \
    examine_the_output_of look_through_the_output_of see read inspect review see_the_output_of \
    consult_the_output_of go_through_the_output_of watch_the_output_of watch";

/// Phrases that may precede an imperative.
pub(super) const LEAD: &str = "\
    first please you_can you_may you_could next then now as_a_first_step to_begin to_start also you_can_also \
    it_helps_to it_is_worth_trying_to you_might you_should as_a_start for_a_start first_of_all to_get_started \
    from_there after_that a_good_first_step_is_to it_may_help_to it_is_best_to it_makes_sense_to \
    it_is_a_good_idea_to you_may_want_to you_might_want_to a_next_step_is_to the_first_step_is_to then_you_can \
    remember_to";

/// Phrases that join a verb of looking and a command.
pub(super) const WITH: &str = "\
    with using by_running via through by_using by_means_of with_the_command in_the_output_of from \
    with_the_help_of by_looking_at_the_output_of with_the_output_of by_calling by_checking in of by_reading \
    by_looking_at by_executing by_typing by_way_of";

/// Pronouns, the plain ones first.
pub(super) const PRONOUNS: &str = "\
    it them this each_of_them all_of_them most_of_it most_of_them each so_much those the_ones ones everything \
    anything something others the_others the_rest";

/// Splits a list into words, with a space for `_` and a slash for `|`.
pub(super) fn words(list: &str) -> Vec<String> {
    list.split_ascii_whitespace().map(spelled).collect()
}

/// Splits a table into entries, each with its forms.
pub(super) fn table(list: &str) -> Vec<Vec<String>> {
    list.split_ascii_whitespace().map(|entry| entry.split('/').map(spelled).collect()).collect()
}

fn spelled(word: &str) -> String {
    word.replace('_', " ").replace('|', "/")
}
