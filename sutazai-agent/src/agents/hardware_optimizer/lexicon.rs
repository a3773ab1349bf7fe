//! Words, and what it means to say them.
//!
//! [`PLAIN`] words claim nothing: a text may be made of them whatever was measured. The words of every other list are
//! claims: they need the support of the finding's own sentences.

/// Words that claim nothing about a machine. A grammar offers these and the finding's own.
pub(super) const PLAIN: &str = "\
    a about above across after again all already also always an and another any are around as at attention avoid away \
    be because become becomes been before begin behind being best better between both bring busy but by can carefully \
    cause caused causes causing change changes check close closely come comes compete confirm consider consume consumes \
    consuming continue continues could current currently cut cuts decide delay delays demand demands depend depends do \
    does down due during each early effect either even every everything examine exceed exceeding exceeds expect fail \
    fails far fast fast faster few fewer fill fills finally find fix fixes follow for from further get gets getting give \
    given gives go goes going grow growing grows happen happens hard has have having heavily heavy held help helps here \
    high higher highest hold holding holds how identify if impact important improve in increase increased increases \
    indicates inside inspect instead into investigate involved is issue issues it its itself keep keeps kept kind know \
    large larger largest later lead leads least leave leaves less let level lighter like likely limit limits list load \
    long longer look looking looks lose loses lower machine main make makes making manage many may mean means measure \
    measures might monitor more most much must near nearly need needed needs new next now occur occurs of off \
    often older on only onto open or order other others otherwise out over overall own owner part particular parts past \
    performance perhaps place plan point possible prevent prevents problem problems process processes program programs \
    pressing queue quickly raise raises rather reach reached reaches reading reason recent recently reduce reduces \
    reducing related remain remains report require requires resolve resource resources respond response responsible \
    result results review right rise rises rising risk room run running runs same schedule see seems sees serious serve \
    server serves service services set setting settings several share should show shows since situation slow slower \
    slowly slows so some something sometimes soon source space speed spend spends spread start started starting starts state \
    stay stays steadily still stop stopped stops such system systems take taken takes taking tell tells than that the \
    their them then there these they thing things this those through thus time times to together too top total touch \
    toward turn under understand unit until unusual up upon usage use used useful utilization user users uses using usual usually value \
    very view wait waiting waits want wants was watch way ways well were what when where whether which while who whole \
    whose why will with within work working workload workloads works worth would write writing you your";

/// Things that have names: a word beside one of these that is none of the language's is taken for such a name.
pub(super) const NAMED: &str = "\
    container process interface device service host image volume sensor disk pod server user owner machine program";

/// Plain words on which a sentence may end, beside the finding's own.
pub(super) const CLOSING: &str = "\
    again all already also away before best better carefully closely down during early everything faster further \
    here high itself large later level limit longer now often others owner performance place problem problems quickly \
    room server service services setting settings slow slower slowly soon space start state still system systems then there \
    time times together too total unit use used user users value well work workload workloads";

/// Words on which no sentence ends.
pub(super) const OPENING: &str = "\
    a about an and any are as at be because become becoming between but by can cause causes causing could do does each either \
    every few for from further get gets getting give gives has have having how if in into is its keep keeps kept lead leads \
    least less let like likely made make makes many may means might more most much must near nearly new next of \
    often on only onto or other our over own per quite rather should since so some such take takes than the their then \
    through to too toward under until upon use uses using usual very was were what when where whether \
    which while who whole whose why will with within would your you ";

/// Numbers in words.
pub(super) const NUMBERS: &str = "\
    zero two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen \
    nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand thousands million millions \
    billion billions trillion dozen dozens half halves third thirds quarter quarters couple pair single once twice thrice \
    double doubled doubles doubling triple tripled quadruple tenfold twofold fold majority minority";

/// Units in words and signs.
pub(super) const UNITS: &str = "\
    percent percentage byte bytes kilobyte kilobytes megabyte megabytes gigabyte gigabytes terabyte terabytes kibibytes \
    mebibytes gibibytes tebibytes kb mb gb tb kib mib gib tib bit bits mbit gbit mbps gbps iops rpm hz mhz ghz watt watts \
    volt volts millisecond milliseconds microseconds second seconds minute minutes hour hours day days week weeks month \
    months year years ms us ns celsius fahrenheit kelvin degree degrees dollar dollars euro euros";

/// Things of a machine that rules speak of: saying them is saying something about them.
pub(super) const RESOURCES: &str = "\
    memory ram heap swap swapping swapped paging cpu cpus processor processors core cores hyperthreading disk disks drive \
    drives storage ssd ssds hdd nvme raid filesystem filesystems partition partitions volume volumes inode inodes mount \
    mounts network networks networking interface interfaces nic packet packets bandwidth connection connections wifi \
    ethernet router switch container containers docker podman kubernetes pod pods image images registry gpu gpus graphics \
    vram temperature temperatures heat overheat overheats overheating hot cooling fan fans thermal battery power clock \
    zombie zombies descriptor descriptors kernel driver drivers firmware bios hypervisor virtual vm vms database databases \
    cache caches cluster cloud firewall backup backups certificate certificates password passwords account accounts \
    license malware virus viruses attack attacks attacker hacker hackers breach exploit vulnerability ransomware dns \
    website websites email bug bugs leak leaks leaking leaked crash crashes crashed crashing corrupt corrupted corruption \
    hardware motherboard cable cables update updates upgrade upgrades version versions";

/// Programs that people know by name.
pub(super) const PROGRAMS: &str = "\
    nginx apache httpd caddy haproxy traefik mysql mysqld mariadb postgres postgresql sqlite mongodb mongod redis valkey \
    memcached elasticsearch opensearch kibana logstash kafka rabbitmq zookeeper cassandra clickhouse influxdb prometheus \
    grafana java javac jvm tomcat python perl ruby php node nodejs deno golang rust dotnet chrome chromium firefox slack \
    electron systemd journald journalctl cron crond sshd ssh openssh dockerd containerd runc kubelet etcd git github gitlab \
    jenkins ansible terraform vault consul nomad wordpress drupal linux ubuntu debian fedora centos redhat alpine windows \
    macos android ios openai ollama llama gemini claude chatgpt tensorflow pytorch cuda nvidia amd intel samsung seagate \
    amazon aws azure google microsoft oracle ibm vmware qemu kvm virtualbox xen proxmox bash zsh vim emacs htop btop \
    iotop iostat vmstat netstat strace tcpdump wireshark nmap";

/// Words of command lines.
pub(super) const COMMANDS: &str = "\
    sudo su rm rmdir dd mkfs fdisk parted chmod chown kill killall pkill systemctl apt yum dnf pacman snap pip npm \
    cargo curl wget bash sh exec eval ps du df ls cat grep awk sed sort head tail free swapon swapoff mount umount ip ifconfig \
    ethtool tc iptables ufw sysctl modprobe crontab nohup nice renice ionice ulimit truncate shred fsck tune2fs smartctl";

/// What may be done to a machine and is not to be proposed unless a remedy does.
pub(super) const ACTIONS: &str = "\
    delete deletes deleting deleted erase erasing wipe wiping format formatting remove removes removing purge purging prune \
    destroy destroying overwrite truncate drop kill killing terminate terminating shutdown reboot rebooting restart \
    restarting reset resetting reinstall uninstall install installing disable disabling enable enabling downgrade upgrade \
    upgrading update updating replace replacing buy buying purchase add adding extend resize shrink clear clearing clean \
    cleaning cleanup empty flush migrate move moving download upload execute unplug disconnect block ban encrypt defragment \
    overclock";

/// What takes a finding back.
pub(super) const REASSURING: &str = "\
    healthy fine ok okay normal normally good great excellent perfect perfectly optimal stable safe safely secure calm quiet \
    harmless acceptable adequate sufficient enough plenty ample ideal idle free unused available empty low lowest minimal \
    negligible little small tiny smooth smoothly efficient efficiently balanced comfortable comfortably relaxed resolved \
    solved fixed gone ignore ignored unimportant irrelevant unnecessary optional nothing none nobody fully";

/// What makes more of a finding that is only worth knowing.
pub(super) const ALARMING: &str = "\
    critical critically urgent urgently emergency immediate immediately severe severely danger dangerous dangerously fatal \
    catastrophic disaster disastrous exhausted overloaded overwhelmed failing failure failed broken dead dying lost \
    unresponsive alarming crisis saturated";

/// What turns a sentence round.
pub(super) const NEGATIONS: &str = "\
    no not never cannot neither nor without hardly barely scarcely unlikely nowhere unable isn't aren't wasn't weren't don't \
    doesn't didn't won't can't couldn't shouldn't wouldn't hasn't haven't";

/// What speaks to a model, or as one.
pub(super) const PROMPTING: &str = "\
    instruction instructions prompt prompts assistant chatbot ai model models language system: user: sorry apologize apologise \
    previous disregard override pretend roleplay jailbreak finding findings remedy remedies severity evidence json schema \
    i i'm i'll i've me my we our us";

/// Whether a word, in lower case, is in one of these lists.
pub(super) fn contains(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|entry| entry == word)
}

/// Whether a word, in lower case, is one of the language rather than a name.
pub(super) fn is_of_the_language(word: &str) -> bool {
    [PLAIN, ACTIONS, ALARMING, COMMANDS, NEGATIONS, NUMBERS, PROMPTING, REASSURING, RESOURCES, UNITS]
        .iter()
        .any(|list| contains(list, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_claim_nothing() {
        let claims = [
            NUMBERS, UNITS, RESOURCES, PROGRAMS, COMMANDS, ACTIONS, REASSURING, ALARMING, NEGATIONS,
            PROMPTING,
        ];
        for word in CLOSING.split_ascii_whitespace() {
            assert!(contains(PLAIN, word), "{word}");
        }
        for word in PLAIN.split_ascii_whitespace() {
            assert!(word.bytes().all(|b| b.is_ascii_lowercase()), "{word}");
            for list in claims {
                assert!(!contains(list, word), "{word} is in {:.40}", list);
            }
        }
    }
}
