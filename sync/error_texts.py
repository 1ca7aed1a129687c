"""The words of every error: code → language → (what happened, what to do).

Codes are for ever; texts may be improved. A test holds that each code in the sources stands here,
that each one here is raised somewhere, and that docs/errors.md lists it.
"""

from __future__ import annotations

Text = tuple[str, str]

TEXTS: dict[str, dict[str, Text]] = {
    "disk-full": {
        "en": ("No room left on the disk while writing {path}.",
               "Nothing was damaged. Free some space, then run the same command again."),
        "zh": ("写入 {path} 时磁盘空间不足。", "已有内容没有损坏。请清理空间后重新执行同一命令。"),
    },
    "budget-full": {
        "en": ("The box's disk budget has no room for {package} and {bytes} bytes in all.",
               "What is here stays usable. Raise it (`box init --pairing FILE --disk-budget 50GB`), or take something off at the hub."),
        "zh": ("盒子的磁盘限额放不下 {package}，共缺 {bytes} 字节。",
               "已有内容照常可用。请调高限额（`box init --pairing 文件 --disk-budget 50GB`），或在中心端取消部分分配。"),
    },
    "disk-failing": {
        "en": ("The disk cannot be used at {path}: {reason}.",
               "What is stored can still be read. Replace the disk soon; `teachpoint doctor` says more."),
        "zh": ("磁盘在 {path} 处无法使用：{reason}。", "已存内容仍可阅读。请尽快更换磁盘；详见 `teachpoint doctor`。"),
    },
    "file-unreadable": {
        "en": ("{path} cannot be read: {reason}.",
               "Nothing was changed. Mend the file or its permissions, or leave it out, and try again."),
        "zh": ("无法读取 {path}：{reason}。", "没有任何改动。请修复文件或其权限，或将其移出后重试。"),
    },
    "file-changed": {
        "en": ("{path} changed while it was being read.",
               "Nothing was published. Wait until copying has finished, then try again."),
        "zh": ("读取 {path} 时文件发生了变化。", "没有发布任何内容。请等复制完成后重试。"),
    },
    "file-vanished": {
        "en": ("{path} is not there.", "Nothing was changed. Check the path and try again."),
        "zh": ("找不到 {path}。", "没有任何改动。请检查路径后重试。"),
    },
    "object-damaged": {
        "en": ("The object {sha256} does not have the bytes its name promises.",
               "It was put aside in quarantine and will be fetched again at the next sync."),
        "zh": ("对象 {sha256} 的内容与其名称不符。", "已隔离，下次同步时会重新获取。"),
    },
    "object-missing": {
        "en": ("A file that belongs to a lesson is missing: {sha256}.",
               "Sync again; if it stays, publish the package at the hub again."),
        "zh": ("课程缺少一个文件：{sha256}。", "请重新同步；若仍缺少，请在中心校重新发布该资源包。"),
    },
    "object-too-large": {
        "en": ("The object {sha256} is larger than the {most_bytes} bytes allowed here.",
               "It was not used. Publish the package again with a current hub."),
        "zh": ("对象 {sha256} 超过此处允许的 {most_bytes} 字节。", "未使用该对象。请用最新版中心端重新发布。"),
    },
    "pack-bad": {
        "en": ("A pack of texts is refused: {reason}.",
               "Nothing of it is used. The texts are fetched one by one; at the hub, publish the package again."),
        "zh": ("文本包被拒绝：{reason}。", "其内容未被使用，文本将逐个获取。如在中心校，请重新发布该资源包。"),
    },
    "manifest-bad": {
        "en": ("This manifest is refused: {reason}.",
               "Nothing of it was used. Publish the package again with a current hub."),
        "zh": ("清单被拒绝：{reason}。", "其内容未被使用。请用最新版中心端重新发布该资源包。"),
    },
    "desired-bad": {
        "en": ("The hub's list of packages is refused: {reason}.",
               "The box goes on with what it has. Look at the hub with `teachpoint doctor`."),
        "zh": ("中心端的资源包清单被拒绝：{reason}。", "盒子继续使用已有内容。请在中心端运行 `teachpoint doctor`。"),
    },
    "policy-bad": {
        "en": ("The policy that the hub sent for this site is refused: {reason}.",
               "The policy before it stays in force, everything else goes on. Set it anew at the hub with "
               "`teachpoint hub policy`."),
        "zh": ("中心端发来的本教学点同步规则被拒绝：{reason}。",
               "之前的规则继续有效，其他一切照常。请在中心端用 `teachpoint hub policy` 重新设置。"),
    },
    "timetable-bad": {
        "en": ("The timetable that the hub sent for this site is refused: {reason}.",
               "The timetable before it stays, everything else goes on. Set it anew at the hub with "
               "`teachpoint hub timetable`."),
        "zh": ("中心端发来的本教学点课程表被拒绝：{reason}。",
               "之前的课程表继续有效，其他一切照常。请在中心端用 `teachpoint hub timetable` 重新设置。"),
    },
    "timetable-row-bad": {
        "en": ("Row {row} of the timetable can't be read: {text}.",
               "Nothing was changed. Write weekday, period, grades and subject, for instance "
               "\"mon,08:00-08:40,三年级;四年级,语文\"; a period ends after it begins."),
        "zh": ("课程表第 {row} 行无法识别：{text}。",
               "没有任何改动。请依次写星期、节次时间、年级、科目，例如“周一,08:00-08:40,三年级;四年级,语文”；"
               "结束时间要晚于开始时间。"),
    },
    "timetable-file-bad": {
        "en": ("This is no timetable: {reason}.",
               "Nothing was changed. It is a CSV file, or a TOML file with [[period]] tables."),
        "zh": ("这不是课程表文件：{reason}。", "没有任何改动。课程表是 CSV 文件，或含 [[period]] 表的 TOML 文件。"),
    },
    "timetable-too-long": {
        "en": ("This timetable is too long.", "Nothing was changed. At most {most} periods a week, and 20 grades "
               "in each."),
        "zh": ("课程表太长。", "没有任何改动。每周最多 {most} 节，每节最多 20 个年级。"),
    },
    "policy-hours": {
        "en": ("The policy of this site's line lets lessons and uploads wait until {until}.",
               "Records went, everything here goes on. The box goes on by itself then; "
               "`teachpoint box sync --once --anyway` does not wait, nor does a stick."),
        "zh": ("按本教学点的线路规则，课程和上传文件要等到 {until}。",
               "记录已发送，其他一切照常。届时盒子会自动继续；`teachpoint box sync --once --anyway` 可立即传输，U 盘不受限制。"),
    },
    "policy-budget": {
        "en": ("This month's {limit} of the line are used up; lessons and uploads wait until {until}.",
               "Everything here goes on, and nothing is lost. `teachpoint box sync --once --anyway` uses the line all the "
               "same; a stick costs nothing. The hub changes the budget with `teachpoint hub policy`."),
        "zh": ("本月线路流量 {limit} 已用完；课程和上传文件要等到 {until}。",
               "其他一切照常，没有丢失内容。`teachpoint box sync --once --anyway` 可照样使用线路；U 盘不耗流量。"
               "中心端可用 `teachpoint hub policy` 调整。"),
    },
    "policy-times-bad": {
        "en": ("These are no times of a week: {text!r}.",
               "Nothing was changed. Write days and times, for instance \"mon-fri 18:00-06:00; sat,sun 00:00-24:00\"."),
        "zh": ("无法识别的每周时间：{text!r}。",
               "没有任何改动。请写星期和时间，例如 \"mon-fri 18:00-06:00; sat,sun 00:00-24:00\" 或 \"周一-周五 18:00-06:00\"。"),
    },
    "policy-amount-bad": {
        "en": ("{text!r} is no amount.", "Nothing was changed. Write a number with k, M or G, for instance 512k or 2G; "
               "a rate is at least 8k (bit/s)."),
        "zh": ("{text!r} 不是数量。", "没有任何改动。请写数字加 k、M 或 G，例如 512k 或 2G；速率至少 8k（比特/秒）。"),
    },
    "acks-bad": {
        "en": ("The hub's acknowledgement is refused: {reason}.",
               "Nothing is deleted here. Look at the hub with `teachpoint doctor`."),
        "zh": ("中心端的确认回执被拒绝：{reason}。", "本地不会删除任何内容。请在中心端运行 `teachpoint doctor`。"),
    },
    "pairing-bad": {
        "en": ("This is not a usable pairing file: {reason}.",
               "Nothing was changed. Get the file again with `teachpoint hub site add` or `site rekey`."),
        "zh": ("配对文件不可用：{reason}。", "没有任何改动。请用 `teachpoint hub site add` 或 `site rekey` 重新生成。"),
    },
    "program-missing": {
        "en": ("The program {program} is not installed.",
               "Install it (Debian: apt-get install {package}) and try again; `teachpoint doctor` checks all."),
        "zh": ("没有安装程序 {program}。",
               "请安装（Debian：apt-get install {package}）后重试；可用 `teachpoint doctor` 全面检查。"),
    },
    "program-failed": {
        "en": ("{program} failed with status {status}: {output}",
               "Nothing was changed by it. `teachpoint doctor` may say why."),
        "zh": ("{program} 失败，状态 {status}：{output}", "没有造成改动。可用 `teachpoint doctor` 查找原因。"),
    },
    "program-timeout": {
        "en": ("{program} did not finish within {timeout_s} s and was stopped.",
               "Nothing was lost. Try again; if it happens again, run `teachpoint doctor`."),
        "zh": ("{program} 未在 {timeout_s} 秒内完成，已被停止。", "没有丢失内容。请重试；若再次出现请运行 `teachpoint doctor`。"),
    },
    "database-newer": {
        "en": ("The database {path} was written by a newer teachpoint (it knows {migration}).",
               "Nothing was changed. Use the newer version, or restore the data of this one."),
        "zh": ("数据库 {path} 由更新版本的 teachpoint 写入（含 {migration}）。",
               "没有任何改动。请使用新版本，或恢复本版本的数据。"),
    },
    "database-broken": {
        "en": ("The database {path} cannot be used: {reason}.",
               "Library and outbox are untouched. Run `teachpoint doctor` and follow its advice."),
        "zh": ("数据库 {path} 无法使用：{reason}。", "资源库和发件箱未受影响。请运行 `teachpoint doctor` 并按提示处理。"),
    },
    "database-busy": {
        "en": ("The database {path} is in use by another teachpoint for too long.",
               "Nothing was changed. Wait until the other command has finished, then try again."),
        "zh": ("数据库 {path} 被另一个 teachpoint 占用过久。", "没有任何改动。请等另一命令结束后重试。"),
    },
    "not-a-hub": {
        "en": ("There is no hub in {path}.", "Make one with `teachpoint hub init`, or name the right folder with --data."),
        "zh": ("{path} 中没有中心端数据。", "请用 `teachpoint hub init` 创建，或用 --data 指定正确目录。"),
    },
    "not-a-box": {
        "en": ("There is no box in {path}.",
               "Make one with `teachpoint box init --pairing FILE`, or name the right folder with --data."),
        "zh": ("{path} 中没有教学点盒子数据。", "请用 `teachpoint box init --pairing 文件` 创建，或用 --data 指定正确目录。"),
    },
    # trust: the hub, its sites and keys
    "hub-exists": {
        "en": ("There is a hub in {path} already.",
               "Nothing was changed. Use it as it is, or name an empty folder with --data."),
        "zh": ("{path} 中已有中心端。", "没有任何改动。请直接使用，或用 --data 指定一个空目录。"),
    },
    "settings-bad": {
        "en": ("The settings {path} cannot be used: {reason}.",
               "Nothing was changed. Mend the file with a text editor and try again."),
        "zh": ("设置文件 {path} 不可用：{reason}。", "没有任何改动。请用文本编辑器修正后重试。"),
    },
    "name-bad": {
        "en": ("The name {name!r} cannot be used: 1 to {most} characters, no line ends or control characters.",
               "Nothing was changed. Choose another name with --name."),
        "zh": ("名称 {name!r} 不可用：须为 1 到 {most} 个字符，不含换行或控制字符。", "没有任何改动。请用 --name 另取名称。"),
    },
    "address-bad": {
        "en": ("The address {address!r} is neither a host name nor an IP address.",
               "Nothing was changed. Give it without user, port or spaces, for instance --address 192.168.1.10."),
        "zh": ("地址 {address!r} 既不是主机名也不是 IP 地址。",
               "没有任何改动。请勿包含用户名、端口或空格，例如 --address 192.168.1.10。"),
    },
    "key-missing": {
        "en": ("The key {path} cannot be used: {reason}.",
               "Nothing was changed. Bring the file back from the backup (or from where it is kept offline) and try again."),
        "zh": ("密钥文件 {path} 无法使用：{reason}。", "没有任何改动。请从备份（或离线保管处）恢复该文件后重试。"),
    },
    "site-name-bad": {
        "en": ("{site!r} cannot be a site's short name: 1 to 32 of a-z, 0-9 and -, not - at either end.",
               "Nothing was changed. Choose a short name such as dali-03; the name for people goes into --name."),
        "zh": ("{site!r} 不能作为教学点短名：须为 1 到 32 个 a-z、0-9 或 -，且首尾不为 -。",
               "没有任何改动。请改用如 dali-03 的短名；显示名称用 --name 指定。"),
    },
    "site-exists": {
        "en": ("There is a site {site} already.",
               "Nothing was changed. Choose another short name, or give its box new keys with `teachpoint hub site rekey {site}`."),
        "zh": ("教学点 {site} 已存在。", "没有任何改动。请换一个短名，或用 `teachpoint hub site rekey {site}` 为其盒子更换密钥。"),
    },
    "site-unknown": {
        "en": ("There is no site {site}.", "Nothing was changed. `teachpoint hub site list` shows all sites."),
        "zh": ("没有教学点 {site}。", "没有任何改动。`teachpoint hub site list` 可列出所有教学点。"),
    },
    "site-revoked": {
        "en": ("The site {site} is revoked.",
               "Nothing was changed. `teachpoint hub site rekey {site} --pairing FILE.toml` makes it valid again, with new keys."),
        "zh": ("教学点 {site} 已被吊销。",
               "没有任何改动。`teachpoint hub site rekey {site} --pairing FILE.toml` 可换发新密钥并恢复该教学点。"),
    },
    "site-silent": {
        "en": ("Nothing was heard of the site {site} for {days} days.",
               "Its lessons go on with what its box has. Ask there whether the box is on and its link up; or carry a stick."),
        "zh": ("已有 {days} 天没有教学点 {site} 的消息。", "该点可继续用已有内容上课。请询问盒子是否通电、网络是否正常，或用 U 盘传递。"),
    },
    "root-key-needed": {
        "en": ("The root of the feed of {site} should be renewed before {until}, and the root key is not there.",
               "All goes on until then. Bring {path} back for one run of `teachpoint hub serve`."),
        "zh": ("教学点 {site} 的信任根应在 {until} 之前更新，但缺少根密钥。", "在此之前一切照常。请将 {path} 放回并运行一次 `teachpoint hub serve`。"),
    },
    "package-unknown": {
        "en": ("There is no package {package}.",
               "Nothing was changed. `teachpoint hub packages` shows what is published."),
        "zh": ("没有资源包 {package}。", "没有任何改动。`teachpoint hub packages` 可列出已发布内容。"),
    },
    "priority-bad": {
        "en": ("The priority {priority} is not one of 0 to 9 (9 is the most urgent).",
               "Nothing was changed. Choose one of them with --priority."),
        "zh": ("优先级 {priority} 不在 0 到 9 之间（9 最紧急）。", "没有任何改动。请用 --priority 选择其中之一。"),
    },
    "assigned-too-many": {
        "en": ("The site {site} would have more than {most} packages.",
               "Nothing was changed. Unassign what it needs no more, or publish larger packages (a book instead of its lessons)."),
        "zh": ("教学点 {site} 的资源包将超过 {most} 个。", "没有任何改动。请先取消不再需要的资源包，或改为发布更大的包（如整本书）。"),
    },
    "feed-busy": {
        "en": ("Another process has been writing the feed of {site} for too long.",
               "What was changed is kept, and its feed follows. See whether another teachpoint hangs, then run `teachpoint hub serve` again."),
        "zh": ("另一个进程长时间占用教学点 {site} 的分发信息。", "已作的改动会保留并稍后分发。请检查是否有其他 teachpoint 卡住，然后重新运行 `teachpoint hub serve`。"),
    },
    "feed-incomplete": {
        "en": ("The feed is not complete: {file} is missing.",
               "The box goes on with what it has. Sync again; if it stays so, run `teachpoint doctor` at the hub."),
        "zh": ("分发信息不完整：缺少 {file}。", "盒子继续使用已有内容。请重新同步；若仍如此，请在中心端运行 `teachpoint doctor`。"),
    },
    "feed-bad": {
        "en": ("The feed is refused: {file} is damaged or no feed ({reason}).",
               "The box goes on with what it has. Sync again, or take another stick."),
        "zh": ("分发信息被拒绝：{file} 已损坏或不是分发信息（{reason}）。", "盒子继续使用已有内容。请重新同步，或换一个 U 盘。"),
    },
    "feed-signature": {
        "en": ("The feed is refused: {file} does not have the hub's signature.",
               "The box goes on with what it has. Ask the hub school who wrote it; if the site was given new keys, take the new pairing file."),
        "zh": ("分发信息被拒绝：{file} 没有中心端的有效签名。", "盒子继续使用已有内容。请向中心校核实来源；若该点已换密钥，请使用新的配对文件。"),
    },
    "feed-wrong-site": {
        "en": ("The feed is refused: {file} is for the site {other}, this box belongs to {site}.",
               "The box goes on with what it has. Take the stick or the address that is meant for this site."),
        "zh": ("分发信息被拒绝：{file} 属于教学点 {other}，而本盒子属于 {site}。", "盒子继续使用已有内容。请使用本教学点的 U 盘或地址。"),
    },
    "feed-wrong-root": {
        "en": ("The feed is refused: {file} is not the root of trust this box knows; it comes from another hub, or from one restored from a backup.",
               "The box goes on with what it has. At the hub run `teachpoint hub restored`; if it is another hub, take its pairing file."),
        "zh": ("分发信息被拒绝：{file} 不是本盒子信任的根，它来自另一个中心端，或来自由备份恢复的中心端。",
               "盒子继续使用已有内容。请在中心端运行 `teachpoint hub restored`；若是另一中心端，请使用其配对文件。"),
    },
    "feed-rollback": {
        "en": ("The feed is refused: {file} (version {version}) is older than what this box knows (version {known}), or the hub was restored from an old backup.",
               "Nothing is lost; the box goes on with what it has. An old stick: take a new one. A restored hub: run `teachpoint hub restored` there."),
        "zh": ("分发信息被拒绝：{file}（版本 {version}）早于本盒子已知的版本 {known}，或中心端由旧备份恢复。",
               "没有丢失任何内容，盒子继续使用已有内容。旧 U 盘请更换；若中心端由备份恢复，请在其上运行 `teachpoint hub restored`。"),
    },
    "feed-mixed": {
        "en": ("The feed is refused: {file} does not belong to the rest of it.",
               "The box goes on with what it has. Sync again: the hub may just have been writing it."),
        "zh": ("分发信息被拒绝：{file} 与其余部分不一致。", "盒子继续使用已有内容。请重新同步：中心端可能正在写入。"),
    },
    "feed-expired": {
        "en": ("The feed is refused: {file} was good until {expires}, and the hub itself has said {hub_time} already.",
               "The box goes on with what it has. Sync again with the hub; its `hub serve` renews the feed."),
        "zh": ("分发信息被拒绝：{file} 有效期至 {expires}，而中心端时间已到 {hub_time}。", "盒子继续使用已有内容。请与中心端重新同步；中心端的 `hub serve` 会更新分发信息。"),
    },
    "pairing-exists": {
        "en": ("{path} is there already and is no pairing file of the site {site}.",
               "It was not overwritten and nothing was changed. Name another file with --pairing."),
        "zh": ("{path} 已存在，且不是教学点 {site} 的配对文件。", "未覆盖该文件，没有任何改动。请用 --pairing 指定其他文件。"),
    },
    "folder-unusable": {
        "en": ("Nothing can be written to the folder {path}: {reason}.",
               "Nothing was changed. Make the folder, or name another one, and try again."),
        "zh": ("无法写入目录 {path}：{reason}。", "没有任何改动。请先建立该目录或指定其他目录后重试。"),
    },
    # the machine (doctor)
    "check-failed": {
        "en": ("The check of {check} could not be done: {reason}.",
               "Nothing was changed. Run `teachpoint doctor` as the user that runs teachpoint."),
        "zh": ("无法检查 {check}：{reason}。", "没有任何改动。请以运行 teachpoint 的用户执行 `teachpoint doctor`。"),
    },
    "program-old": {
        "en": ("{program} is too old: {found}; needed is {least} or newer.",
               "Install a newer one (Debian 12 has it): apt-get install {program}."),
        "zh": ("{program} 版本过旧：{found}；需要 {least} 或更新版本。", "请安装新版本（Debian 12 自带）：apt-get install {program}。"),
    },
    "clock-wrong": {
        "en": ("The clock says {time}, which cannot be.",
               "Lessons and sync work all the same; order does not come from the clock. Set it when you can."),
        "zh": ("时钟显示 {time}，明显不对。", "课程和同步不受影响，顺序不依赖时钟。方便时请校正时间。"),
    },
    "multicast-missing": {
        "en": ("This machine cannot announce itself on the network (mDNS): {reason}.",
               "Pages work by address; show the QR code. Connect a network and look again."),
        "zh": ("本机无法在网络中广播自己（mDNS）：{reason}。", "仍可用地址访问页面，请使用二维码。连接网络后再检查。"),
    },
    "congestion-slow": {
        "en": ("This hub sends by `{used}`: lines that lose packets, such as radio and satellite, carry a fraction "
               "of what they could.",
               "Put `net.core.default_qdisc=fq` and `net.ipv4.tcp_congestion_control=bbr` into "
               "/etc/sysctl.d/90-teachpoint.conf and run `sysctl --system`."),
        "zh": ("中心端使用 {used} 拥塞控制：在会丢包的线路（无线、卫星）上只能用到很小一部分带宽。",
               "请在 /etc/sysctl.d/90-teachpoint.conf 中写入 net.core.default_qdisc=fq 和 "
               "net.ipv4.tcp_congestion_control=bbr，然后运行 sysctl --system。"),
    },
    "folder-not-writable": {
        "en": ("The folder {path} cannot be written to by this user.",
               "Run as the user it belongs to, or give it to this one (chown)."),
        "zh": ("当前用户无法写入文件夹 {path}。", "请以其所有者身份运行，或用 chown 更改所有者。"),
    },
    "disk-nearly-full": {
        "en": ("The disk of {path} is nearly full: {free_bytes} bytes and {free_inodes} files left.",
               "Lessons can still be opened. Free some space or unassign packages at the hub."),
        "zh": ("{path} 所在磁盘快满了：剩余 {free_bytes} 字节，可再存 {free_inodes} 个文件。", "课程仍可打开。请清理空间或在中心端取消部分分配。"),
    },
    "secret-exposed": {
        "en": ("Others on this machine can read the secret file {path}.",
               "Nothing was changed. Close it: chmod 600 {path}; if others use this machine, rekey the site."),
        "zh": ("本机其他用户可以读取机密文件 {path}。", "没有任何改动。请执行 chmod 600 {path}；若有他人使用本机，请为站点更换密钥。"),
    },
    "hub-silent": {
        "en": ("The hub does not answer at {addresses}, port {port}: {reason}.",
               "Lessons work without it. Check the line; is `teachpoint hub serve` running at the hub?"),
        "zh": ("中心端在 {addresses} 端口 {port} 没有应答：{reason}。", "课程不受影响。请检查线路，并确认中心端正在运行 `teachpoint hub serve`。"),
    },
    # publish
    "file-name-bad": {
        "en": ("{path} cannot be published under this name: {reason}.",
               "Nothing was published. Rename it and try again."),
        "zh": ("{path} 的名称不能发布：{reason}。", "没有发布任何内容。请改名后重试。"),
    },
    "link-outside": {
        "en": ("{path} is a link that leads out of the folder, to {reason}.",
               "Nothing was published. Put the file itself there instead of the link, and try again."),
        "zh": ("{path} 是指向文件夹之外（{reason}）的链接。", "没有发布任何内容。请用文件本身替换该链接后重试。"),
    },
    "nothing-to-publish": {
        "en": ("There is no file to publish in {path}.", "Nothing was changed. Check the path and try again."),
        "zh": ("{path} 中没有可发布的文件。", "没有任何改动。请检查路径后重试。"),
    },
    "too-many-files": {
        "en": ("{path} holds more than {most} files, the most one package may have.",
               "Nothing was published. Publish its folders one by one, or pack what belongs together."),
        "zh": ("{path} 中的文件超过 {most} 个，超出单个资源包的上限。",
               "没有发布任何内容。请分别发布其中的文件夹，或将相关文件打包。"),
    },
    "package-toml-bad": {
        "en": ("The package.toml of {path} cannot be used: {reason}.",
               "Nothing was published. docs/publishing.md lists what may stand in it."),
        "zh": ("{path} 的 package.toml 不可用：{reason}。", "没有发布任何内容。可用内容见 docs/publishing.md。"),
    },
    "package-id-bad": {
        "en": ("{id} cannot be the id of a package: it must be made of a-z 0-9 . _ -, at most 96 characters.",
               "Nothing was published. Choose another id and try again."),
        "zh": ("{id} 不能作为资源包标识：只能使用 a-z 0-9 . _ -，最多 96 个字符。", "没有发布任何内容。请换一个标识后重试。"),
    },
    "package-clash": {
        "en": ("{path} would become a new version of {id}, but {other}, another folder of the same name "
               "with nothing in common, is published as that.",
               "Nothing was published. Publish the folder above it, or give it an id of its own with --id."),
        "zh": ("{path} 会成为 {id} 的新版本，但同名而内容完全不同的文件夹 {other} 已用该标识发布。",
               "没有发布任何内容。请发布其上一级文件夹，或用 --id 另给标识。"),
    },
    "field-unknown": {
        "en": ("There is no field {field}.", "Nothing was published. The fields are: {known}."),
        "zh": ("没有字段 {field}。", "没有发布任何内容。可用字段：{known}。"),
    },
    "field-bad": {
        "en": ("The field {field} cannot be {value!s}.",
               "Nothing was published. Texts have at most 1,000 characters; position is a whole number."),
        "zh": ("字段 {field} 不能为 {value!s}。", "没有发布任何内容。文本最多 1000 字；position 须为整数。"),
    },
    "id-conflict": {
        "en": ("--id says {id}, but package.toml says {toml_id}.",
               "Nothing was published. Leave out --id, or change package.toml."),
        "zh": ("--id 为 {id}，而 package.toml 中为 {toml_id}。", "没有发布任何内容。请去掉 --id 或修改 package.toml。"),
    },
    "clock-bad": {
        "en": ("The time {time} cannot be right.",
               "The clock was left as it was. What is known allows {earliest} to {latest}; look at the date of your device."),
        "zh": ("时间 {time} 不可能正确。", "时钟没有改动。合理的范围是 {earliest} 至 {latest}，请检查您设备的日期。"),
    },
    "clock-believed": {
        "en": ("The clock of this box is right already.",
               "It was left as it was. A technician can set it with `teachpoint box clock --set`."),
        "zh": ("本盒子的时钟已经准确。", "时钟没有改动。技术员可以用 `teachpoint box clock --set` 设置。"),
    },
    "clock-unreadable": {
        "en": ("“{text}” is no time.", "The clock was left as it was. Write it like 2026-11-25 18:00."),
        "zh": ("“{text}”不是有效的时间。", "时钟没有改动。请按 2026-11-25 18:00 的格式填写。"),
    },
    "library-damaged": {
        "en": ("{objects} objects of the library are damaged or missing; hurt are: {packages}.",
               "They are not sent any more. Publish these packages again from their folders: that brings the bytes back."),
        "zh": ("资源库中有 {objects} 个对象损坏或缺失，受影响的资源包：{packages}。",
               "这些对象不会再发送。请从原文件夹重新发布这些资源包，即可恢复数据。"),
    },
    "watch-failed": {
        "en": ("{count} of what lies in the watch folder {folder} could not be published. {first}",
               "It is tried again as soon as it changes. The rest is published."),
        "zh": ("监视文件夹 {folder} 中有 {count} 项无法发布。{first}", "修改后会自动重试，其余内容已发布。"),
    },
    "watch-folder-bad": {
        "en": ("The watch folder {path} is not there or cannot be read.",
               "Nothing was changed. Make it, or name another one with --watch."),
        "zh": ("监视文件夹 {path} 不存在或无法读取。", "没有任何改动。请创建该文件夹，或用 --watch 指定其他文件夹。"),
    },
    "one-id-many-paths": {
        "en": ("--id names one package, but {count} paths were given.",
               "Nothing was published. Publish them one by one."),
        "zh": ("--id 只对应一个资源包，却给出了 {count} 个路径。", "没有发布任何内容。请逐个发布。"),
    },
    # session: the box's state, one sync
    "box-exists": {
        "en": ("There is a box of another pairing in {path} already.",
               "Nothing was changed. Name an empty folder with --data to make a second box on this machine."),
        "zh": ("{path} 中已有属于另一配对的盒子。", "没有任何改动。如需在本机再建一个盒子，请用 --data 指定一个空目录。"),
    },
    # journal
    "record-bad": {
        "en": ("A record of the kind {kind} cannot be written: {reason}.",
               "Nothing was changed. Shorten the texts; if it happens again, report it with `teachpoint doctor`."),
        "zh": ("无法写入 {kind} 类记录：{reason}。", "没有任何改动。请缩短文字；若再次出现，请用 `teachpoint doctor` 反馈。"),
    },
    "segment-malformed": {
        "en": ("A journal segment is refused: {reason}.",
               "Nothing of it was taken in; the box keeps its records and sends them again."),
        "zh": ("日志分段被拒绝：{reason}。", "其内容未被采用；盒子保留记录并会重新发送。"),
    },
    "segment-signature": {
        "en": ("A journal segment is not signed with the site's key.",
               "Nothing of it was taken in. If the site got new keys, give its box the new pairing file."),
        "zh": ("日志分段未使用该教学点的密钥签名。", "其内容未被采用。如教学点已更换密钥，请给盒子导入新的配对文件。"),
    },
    "segment-sealed": {
        "en": ("A journal segment sealed for {recipient} cannot be opened with this hub's key: {reason}.",
               "Nothing of it was taken in; the box keeps its records. Restore the hub's keys folder from its backup."),
        "zh": ("日志分段是为 {recipient} 加密的，本中心端的密钥无法打开：{reason}。",
               "其内容未被采用；盒子保留记录。请从备份恢复中心端的密钥目录。"),
    },
    "ack-mismatch": {
        "en": ("The hub acknowledges segment {segment} of this box, which this box did not make so.",
               "Nothing is deleted here. This box was restored from a backup or cloned: run `teachpoint box renew`, it loses nothing."),
        "zh": ("中心端确认了本盒子的分段 {segment}，但与本盒子生成的不符。",
               "本地不会删除任何内容。本盒子曾从备份恢复或被克隆：请运行 `teachpoint box renew`，不会丢失内容。"),
    },
    "outbox-damaged": {
        "en": ("{path} in the outbox is missing or damaged, before the hub has acknowledged it.",
               "The record of it is kept. Check the disk with `teachpoint doctor`; give the hub the file again by stick if you have it."),
        "zh": ("发件箱中的 {path} 在中心端确认之前丢失或损坏。",
               "相关记录仍保留。请用 `teachpoint doctor` 检查磁盘；如仍有该文件，请用 U 盘重新提交。"),
    },
    "outbox-busy": {
        "en": ("The outbox {path} is in use by another teachpoint for too long.",
               "Nothing was changed. Wait until the other command has finished, then try again."),
        "zh": ("发件箱 {path} 被另一个 teachpoint 占用过久。", "没有任何改动。请等另一命令结束后重试。"),
    },
    "upload-too-large": {
        "en": ("{path} has {size} bytes; an upload may have {most_bytes}.",
               "Nothing was changed. Split or shrink the file, or carry it to the hub school by hand."),
        "zh": ("{path} 有 {size} 字节，上传上限为 {most_bytes}。", "没有任何改动。请拆分或压缩文件，或人工送到中心校。"),
    },
    # classroom API
    "parameter-bad": {
        "en": ("The parameter {name} cannot be {value}: it is a whole number from {least} to {most}.",
               "Nothing was changed. Correct the address; docs/api.md lists all parameters."),
        "zh": ("参数 {name} 不能为 {value}：应为 {least} 到 {most} 的整数。", "没有任何改动。请更正地址；参数说明见 docs/api.md。"),
    },
    "resource-unknown": {
        "en": ("There is no resource {resource} in the package {package}.",
               "It may have been replaced or withdrawn. Ask for the list again."),
        "zh": ("资源包 {package} 中没有资源 {resource}。", "它可能已被替换或撤回。请重新获取列表。"),
    },
    "metrics-forbidden": {
        "en": ("Metrics are shown to the box itself, or to who has the token.",
               "Ask from the box, or send `Authorization: Bearer` with the token in {file} of the data folder."),
        "zh": ("指标只对本机或持有令牌者开放。", "请在盒子本机访问，或用数据目录中 {file} 的令牌发送 `Authorization: Bearer`。"),
    },
    "result-bad": {
        "en": ("What was sent is no result of a lesson: {reason}.",
               "Nothing was kept. docs/api.md says what a result is."),
        "zh": ("所发送的不是课程成绩：{reason}。", "没有保存任何内容。成绩的格式见 docs/api.md。"),
    },
    "results-too-large": {
        "en": ("These results are larger than {most} bytes.", "Nothing was kept. Send fewer at once."),
        "zh": ("这些成绩超过 {most} 字节。", "没有保存任何内容。请减少每次发送的数量。"),
    },
    "results-foreign": {
        "en": ("Results are taken from the box's own pages only.",
               "Nothing was kept. Open the lesson on the box, and send JSON."),
        "zh": ("只接收盒子自己页面发来的成绩。", "没有保存任何内容。请在盒子上打开课程，并以 JSON 发送。"),
    },
    "results-busy": {
        "en": ("More results come than the box keeps.",
               "This one was not kept; the page sends it again by itself, in {wait_s} seconds or later."),
        "zh": ("成绩来得太多，盒子暂时不再保存。", "这一条没有保存；页面会在 {wait_s} 秒或更久之后自动再发。"),
    },
    # serving
    "listen-bad": {
        "en": ("{address} is no address that this machine can listen on.",
               "Nothing was started. Give HOST:PORT, for instance 0.0.0.0:8080 or [::]:8080."),
        "zh": ("本机无法监听地址 {address}。", "服务没有启动。请使用“主机:端口”格式，例如 0.0.0.0:8080 或 [::]:8080。"),
    },
    "port-forbidden": {
        "en": ("The port {port} of {host} may not be used by this account.",
               "Nothing was started. Choose a port from 1024 on, or let the system's service start it."),
        "zh": ("当前账户无权使用 {host} 的端口 {port}。", "服务没有启动。请选择 1024 及以上的端口，或由系统服务启动。"),
    },
    "box-serving": {
        "en": ("The box in {path} is being served already.",
               "Nothing was changed. Stop the other `teachpoint box serve` first, or name another folder with --data."),
        "zh": ("{path} 中的盒子已在提供服务。", "没有任何改动。请先停止另一个 `teachpoint box serve`，或用 --data 指定其他目录。"),
    },
    "nginx-failing": {
        "en": ("nginx does not keep running: {reason}.",
               "Lessons are served without it, more slowly. `teachpoint doctor` says how to mend it; then restart the service."),
        "zh": ("nginx 无法持续运行：{reason}。", "课程改由内置服务提供，速度较慢。请用 `teachpoint doctor` 查看修复办法，然后重启服务。"),
    },
    "dlna-failing": {
        "en": ("The media server for TVs does not keep running: {reason}.",
               "Lessons open in browsers as always. Install minidlna, see that no other program takes its port (Debian's own service does: "
               "`systemctl disable --now minidlna`), then restart the service."),
        "zh": ("电视用的媒体服务器无法持续运行：{reason}。",
               "浏览器里照常打开课程。请安装 minidlna，确认没有别的程序占用端口（Debian 自带的服务会占用：`systemctl disable --now minidlna`），然后重启服务。"),
    },
    "object-lost": {
        "en": ("A file of a lesson is missing on the disk ({sha256}).",
               "It is fetched again by itself at the next sync. If this happens again, check the disk with `teachpoint doctor`."),
        "zh": ("磁盘上缺少一个课程文件（{sha256}）。", "下次同步时会自动重新获取。若再次出现，请用 `teachpoint doctor` 检查磁盘。"),
    },
    "drop-failed": {
        "en": ("The file {name} in {folder} was not taken: {reason}",
               "It stays where it is. Mend what is said here, or take it out of the folder."),
        "zh": ("{folder} 中的文件 {name} 未被接收：{reason}", "文件仍在原处。请按提示处理，或将其移出该文件夹。"),
    },
    "upload-empty": {
        "en": ("No file was chosen.", "Nothing was sent. Choose a file below and send it again."),
        "zh": ("没有选择文件。", "没有发送任何内容。请在下方选择文件后重新发送。"),
    },
    "sign-in-first": {
        "en": ("Sign in first: on this box teachers send files.", "Nothing was lost. Sign in on the page `/teacher`, then go on."),
        "zh": ("请先登录：这台盒子由老师上传文件。", "没有丢失内容。请在 `/teacher` 页面登录后继续。"),
    },
    "shutdown-command-bad": {
        "en": ("{command} cannot be a command: {reason}.", "Nothing was changed. Give it as one would type it, without a shell's signs."),
        "zh": ("{command} 不能作为命令：{reason}。", "没有任何改动。请按命令行的写法给出，不要使用 shell 符号。"),
    },
    "shutdown-failed": {
        "en": ("The box could not be switched off: {reason}", "It goes on working. Look at the command with `teachpoint box power`, and at the rights it needs."),
        "zh": ("盒子无法关机：{reason}", "盒子照常工作。请用 `teachpoint box power` 检查命令及其所需权限。"),
    },
    "plan-nameless": {
        "en": ("A lesson plan needs a name.", "Nothing was changed. Type one, for instance “Monday, grade 3”."),
        "zh": ("备课单需要一个名称。", "没有任何改动。请输入名称，例如“周一三年级”。"),
    },
    "plans-many": {
        "en": ("You have {most} lesson plans already.", "Nothing was changed. Delete one that you no longer need."),
        "zh": ("您已有 {most} 个备课单。", "没有任何改动。请删除一个不再需要的。"),
    },
    "plan-full": {
        "en": ("A lesson plan holds at most {most} entries.", "Nothing was changed. Begin another plan."),
        "zh": ("一个备课单最多 {most} 项。", "没有任何改动。请另建一个备课单。"),
    },
    "upload-gone": {
        "en": ("The box does not know this file any more.", "Choose it again and send it from the beginning."),
        "zh": ("盒子里已没有这个文件的上传记录。", "请重新选择文件，从头上传。"),
    },
    "upload-elsewhere": {
        "en": ("The box has {received} bytes of this file, not {offset}.", "Nothing was lost. Go on from there."),
        "zh": ("盒子已收到该文件的 {received} 字节，而不是 {offset} 字节。", "没有丢失内容。请从该处继续。"),
    },
    "upload-busy": {
        "en": ("Another page is sending this file at the moment.", "Nothing was lost. Let it go on there, or close that page and try again."),
        "zh": ("另一个页面正在上传这个文件。", "没有丢失内容。请让它继续，或关闭那个页面后重试。"),
    },
    "upload-no-room": {
        "en": ("The box has no room for this file of {size}: {free} are left for files.", "Nothing was sent, and lessons open as before. Make the file smaller, or tell the technician or the hub school."),
        "zh": ("盒子放不下这个 {size} 的文件：可用于文件的空间还有 {free}。", "没有发送任何内容，课程照常可用。请缩小文件，或告诉技术员或中心学校。"),
    },
    "upload-over": {
        "en": ("This file of {size} is larger than the {most} that may be sent.", "Nothing was sent. Make it smaller, or split it."),
        "zh": ("这个文件有 {size}，超过可上传的 {most}。", "没有发送任何内容。请缩小或拆分文件。"),
    },
    "uploads-many": {
        "en": ("{most} files of yours are unfinished already.", "Nothing was sent. Finish or give up one of them first, on the page `/teacher`."),
        "zh": ("您已有 {most} 个文件没有传完。", "没有发送任何内容。请先在 `/teacher` 页面传完或放弃其中一个。"),
    },
    "upload-unfinished": {
        "en": ("A file that is whole in the box cannot be put into the outbox: {reason}", "It stays, and it is tried again by itself."),
        "zh": ("有文件已完整存入盒子，但无法放入发件箱：{reason}", "文件会保留，并自动重试。"),
    },
    # the link
    "sshd-stopped": {
        "en": ("The hub's SSH server stopped: {reason}.",
               "Boxes go on with what they have; it is started again by itself. `teachpoint doctor` may say why."),
        "zh": ("中心端的 SSH 服务已停止：{reason}。", "盒子继续使用已有内容；服务会自动重启。可用 `teachpoint doctor` 查找原因。"),
    },
    "https-failing": {
        "en": ("Boxes cannot use HTTPS at this hub: {reason}.",
               "They go on over SSH, more slowly; it is tried again by itself. Install nginx (nginx-light) if it is missing, or give `hub serve --https` a free port."),
        "zh": ("盒子无法通过 HTTPS 连接中心端：{reason}。", "盒子继续使用 SSH，速度较慢；系统会自动重试。若缺少 nginx 请安装（nginx-light），或用 `hub serve --https` 指定空闲端口。"),
    },
    "data-path-unusable": {
        "en": ("The data folder {path} has a control character or % in its name.",
               "Nothing was changed. Choose another folder with --data."),
        "zh": ("数据目录 {path} 的名称含有控制字符或 %。", "没有任何改动。请用 --data 选择其他目录。"),
    },
    "hub-account-unusable": {
        "en": ("Boxes could not log in to the account {user}: {reason}.",
               "Nothing was started. Run the hub as the account that made it, with a usual shell."),
        "zh": ("盒子无法登录账户 {user}：{reason}。", "服务没有启动。请以创建中心端的账户运行，并使用普通 shell。"),
    },
    "port-taken": {
        "en": ("The port {port} of {host} is taken by another program.",
               "Nothing was started. Stop that program, or choose another port."),
        "zh": ("{host} 的端口 {port} 已被其他程序占用。", "服务没有启动。请停止该程序或选择其他端口。"),
    },
    "sync-running": {
        "en": ("A sync of this box is already running ({path}).",
               "Let it finish; `teachpoint box status` tells how far it is."),
        "zh": ("该盒子正在同步（{path}）。", "请等待其完成；可用 `teachpoint box status` 查看进度。"),
    },
    "carrier-gone": {
        "en": ("The folder or stick {path} can't be read: {reason}.",
               "Nothing was lost. Plug it in again and repeat the sync; it goes on where it stopped."),
        "zh": ("无法读取目录或 U 盘 {path}：{reason}。", "没有丢失内容。请重新插入后再次同步，会从断点继续。"),
    },
    "carrier-full": {
        "en": ("There is no room left on {path}.",
               "Nothing was lost: what did not fit waits here. Free some space on it and repeat the sync."),
        "zh": ("{path} 空间不足。", "没有丢失内容，未写入的部分保留在本机。请清理空间后重新同步。"),
    },
    "hub-unreachable": {
        "en": ("The hub can't be reached: {reason}.",
               "Lessons work all the same; nothing was lost. The box tries again by itself when the line is back."),
        "zh": ("无法连接中心端：{reason}。", "课程不受影响，没有丢失内容。线路恢复后盒子会自动重试。"),
    },
    "host-key-changed": {
        "en": ("The machine that answers is not the hub of the pairing file: its key is another one ({reason}).",
               "Nothing was sent to it. Ask the hub school; if the hub was made anew, pair again with a new file."),
        "zh": ("应答的机器不是配对文件中的中心端：密钥不同（{reason}）。",
               "没有向其发送任何内容。请联系中心学校；若中心端已重建，请用新的配对文件重新配对。"),
    },
    "key-refused": {
        "en": ("The hub refuses this box's key ({reason}).",
               "Lessons work all the same. The site was revoked or rekeyed: ask the hub school for a new pairing file."),
        "zh": ("中心端拒绝了本盒子的密钥（{reason}）。", "课程不受影响。该教学点已被吊销或更换密钥，请向中心学校索取新的配对文件。"),
    },
    "link-broken": {
        "en": ("The link to {hub} broke: {reason}.",
               "Nothing was lost. What has arrived stays; the next sync goes on from there by itself."),
        "zh": ("与 {hub} 的连接中断：{reason}。", "没有丢失内容。已到达的部分会保留，下次同步自动从断点继续。"),
    },
    "uploads-wait": {
        "en": ("Uploads find no way to {hub}: {reason}.",
               "Lessons and records are exchanged all the same, and nothing was lost. Let the hub's SSH port through "
               "to it; the box tries again by itself."),
        "zh": ("上传内容无法送达 {hub}：{reason}。",
               "课程和记录照常同步，没有丢失内容。请放行中心端的 SSH 端口；盒子会自动重试。"),
    },
    "hub-refuses": {
        "en": ("{hub} refuses what this box asked: {reason}.",
               "Nothing was changed. Bring box and hub to the same version of teachpoint, then try again."),
        "zh": ("{hub} 拒绝了盒子的请求：{reason}。", "没有任何改动。请把盒子和中心端升级到同一版本后重试。"),
    },
    "hub-full": {
        "en": ("There is no room left on the hub's disk at {path}.",
               "Nothing was lost, and boxes still get what is here; what they send and new lessons wait. Free some space: the hub goes on by itself."),
        "zh": ("中心端的磁盘（{path}）已满。", "没有丢失内容，盒子仍可获取已有内容；盒子上传的内容和新课程需等待。请清理空间，之后中心端会自动继续。"),
    },
    "clock-jumped": {
        "en": ("The hub's clock has jumped by {days} day(s).",
               "Boxes are told the time that went before until the clock has kept the new one for {minutes} minutes. Set it right if it is wrong."),
        "zh": ("中心端的时钟跳动了 {days} 天。", "在新时间保持 {minutes} 分钟之前，盒子仍按跳动前的时间运行。如果时间不对，请调整时钟。"),
    },
    "hub-disk-full": {
        "en": ("There is no room left at {hub} for what this box sends.",
               "Nothing was lost: it waits here. Tell the hub school to free some space."),
        "zh": ("{hub} 的磁盘已满，无法接收盒子上传的内容。", "没有丢失内容，全部保留在本机。请通知中心学校清理空间。"),
    },
    "sync-once": {
        "en": ("`box sync` does one sync and ends: say --once.", "To sync again and again, run `teachpoint box serve`."),
        "zh": ("`box sync` 只同步一次：请加上 --once。", "如需持续同步，请运行 `teachpoint box serve`。"),
    },
    "hub-running": {
        "en": ("`hub serve` is already running on {path}.",
               "Nothing was started. Stop the other one, or name another folder with --data."),
        "zh": ("{path} 上已有 `hub serve` 在运行。", "服务没有启动。请先停止另一个，或用 --data 指定其他目录。"),
    },
    # taking in
    "site-no-room": {
        "en": ("The box of {site} has no room for {packages} packages, the most urgent is {package}: {bytes} bytes lacking.",
               "What it has stays usable. Take something off (`hub unassign`), or give the box a larger disk or budget."),
        "zh": ("{site} 的盒子放不下 {packages} 个资源包，最紧急的是 {package}，共缺 {bytes} 字节。",
               "已有内容照常可用。请取消部分分配（`hub unassign`），或为盒子更换更大的磁盘、调高限额。"),
    },
    "hub-forgot": {
        "en": ("The hub no longer has the records {first} to {last} of this box, which it had confirmed: it was restored from a backup.",
               "The box goes on by itself under a new name and tells again all that it still has. Nothing needs doing here."),
        "zh": ("中心端已没有它确认过的本盒子第 {first} 至 {last} 条记录：中心端曾由备份恢复。",
               "盒子会自动以新标识继续，并重新上报仍保留的全部记录。此处无需处理。"),
    },
    "records-lost": {
        "en": ("This hub has lost the records {first} to {last} of the box {box} of {site}, which it had confirmed before it was restored.",
               "What came later is here. A newer backup may have them; else they are gone. Make backups more often."),
        "zh": ("中心端丢失了 {site} 盒子 {box} 的第 {first} 至 {last} 条记录（恢复之前曾确认）。",
               "之后的记录都在。较新的备份中可能还有，否则已无法找回。请增加备份次数。"),
    },
    "hub-database-missing": {
        "en": ("The hub's database {path} is not there, though this is a hub.",
               "Nothing was changed. Put it back from a backup, then run `teachpoint hub restored`. Without one: move the folder away, make a hub anew, pair its boxes again."),
        "zh": ("中心端的数据库 {path} 不见了。",
               "没有任何改动。请从备份放回后运行 `teachpoint hub restored`。没有备份时：移走该目录，重新建立中心端并重新配对盒子。"),
    },
    "segment-conflict": {
        "en": ("Segment {number} of the box {box} came with two contents: two boxes have one identity.",
               "The first stays, the other was set aside in refused/. Run `teachpoint box renew` at the box that says ack-mismatch."),
        "zh": ("盒子 {box} 的第 {number} 段日志有两种内容：两台盒子身份相同。",
               "先到的保留，后到的已移入 refused/。请在提示 ack-mismatch 的盒子上运行 `teachpoint box renew`。"),
    },
    "segment-misplaced": {
        "en": ("A segment says it is number {number} of the box {box} of {site}, but lies elsewhere.",
               "It was set aside in refused/ and nothing of it was taken."),
        "zh": ("一段日志自称属于 {site} 盒子 {box} 的第 {number} 段，但位置不符。", "已移入 refused/，其内容未被接收。"),
    },
    "segment-gap": {
        "en": ("Of the box {box} segment {number} is missing; {later} is here already.",
               "Nothing is lost: what came later waits. The box sends it again by itself, or bring its stick."),
        "zh": ("盒子 {box} 缺少第 {number} 段日志，而第 {later} 段已到。", "没有丢失内容，后面的会等待。盒子会自动重发，也可用 U 盘带来。"),
    },
    "inbox-junk": {
        "en": ("{path} is nothing a box sends: {reason}.", "It was removed and nothing of it was taken."),
        "zh": ("{path} 不是盒子会发送的内容：{reason}。", "已删除，其内容未被接收。"),
    },
    "inbox-limit": {
        "en": ("The inbox of {site} holds more than one box can send: {reason}.",
               "The rest waits for the next round. If it goes on, look at that box; `hub site revoke` shuts it out."),
        "zh": ("{site} 的收件箱内容超过一台盒子可能发送的量：{reason}。",
               "其余的下一轮再处理。若持续发生，请检查该盒子；`hub site revoke` 可将其拒之门外。"),
    },
    "inbox-unreadable": {
        "en": ("The inbox of {site} can't be read: {reason}.",
               "Other sites are not affected. Look at the disk and at who owns the data folder."),
        "zh": ("无法读取 {site} 的收件箱：{reason}。", "其他教学点不受影响。请检查磁盘和数据目录的所有者。"),
    },
    "ingest-running": {
        "en": ("Another program is taking in what the sites sent ({path}).", "Let it finish, then try again."),
        "zh": ("另一个程序正在接收各教学点的内容（{path}）。", "请等待其完成后重试。"),
    },
    "carry-for-whom": {
        "en": ("No site was named.", "Name the sites the stick is for, or use --every-site."),
        "zh": ("没有指定教学点。", "请写明这个 U 盘给哪些教学点，或使用 --every-site。"),
    },
    "carrier-file-too-large": {
        "en": ("{count} file(s) are larger than the file system of {path} can hold.",
               "All the rest is on it. Format the stick as exFAT or ext4 (FAT holds files up to 4 GB) and repeat."),
        "zh": ("有 {count} 个文件超过 {path} 的文件系统上限。",
               "其余内容已写入。请把 U 盘格式化为 exFAT 或 ext4（FAT 只能存放 4 GB 以内的文件）后重试。"),
    },
    "stick-without-inbox": {
        "en": ("There is no inbox on {path}.", "Nothing was changed. Use the stick that a box has filled."),
        "zh": ("{path} 上没有收件箱。", "没有任何改动。请使用盒子写入过的 U 盘。"),
    },
    "upload-damaged": {
        "en": ("The uploaded file {sha256} came damaged: {reason}.",
               "It was removed; the box still has it and sends it again."),
        "zh": ("上传的文件 {sha256} 已损坏：{reason}。", "已删除；盒子仍保留原件，会重新发送。"),
    },
    "login-bad": {
        "en": ("{login} cannot be a login.", "Nothing was changed. Take 1 to 32 letters, digits, dots or dashes, beginning with a letter or digit."),
        "zh": ("{login} 不能用作登录名。", "没有任何改动。请用 1 到 32 个字母、汉字、数字、点或短横，并以字母、汉字或数字开头。"),
    },
    "teacher-exists": {
        "en": ("There is a teacher with the login {login} already.", "Nothing was changed. Take another login, or `teachpoint box teacher password` for another password."),
        "zh": ("登录名 {login} 已有老师使用。", "没有任何改动。请换一个登录名；如需更换密码，请用 `teachpoint box teacher password`。"),
    },
    "teachers-many": {
        "en": ("A box keeps at most {most} teachers.", "Nothing was changed. Take away those who have left: `teachpoint box teacher remove`."),
        "zh": ("一台盒子最多保存 {most} 位老师。", "没有任何改动。请用 `teachpoint box teacher remove` 移除已离开的老师。"),
    },
    "teacher-unknown": {
        "en": ("There is no teacher with the login {login}.", "Nothing was changed. `teachpoint box teacher list` names them all."),
        "zh": ("没有登录名为 {login} 的老师。", "没有任何改动。`teachpoint box teacher list` 可列出所有老师。"),
    },
    "password-weak": {
        "en": ("This password is too easy to guess.", "Nothing was changed. Take at least {least} characters, not the login, not what everybody takes."),
        "zh": ("这个密码太容易被猜到。", "没有任何改动。请至少用 {least} 个字符，不要包含登录名，也不要用常见密码。"),
    },
    "sign-in-wrong": {
        "en": ("Login and password do not belong together.", "Look at both and try again. Forgotten: the technician gives you another password."),
        "zh": ("登录名与密码不匹配。", "请检查后重试。忘记密码时，请技术员为您设置新密码。"),
    },
    "sign-in-wait": {
        "en": ("There were too many wrong passwords; the next try is possible in {seconds} seconds.", "Lessons open all the same. On a device where you have signed in before you do not wait for others."),
        "zh": ("密码错误次数过多，请在 {seconds} 秒后再试。", "课程照常可用。在您以前登录过的设备上，不受他人误试的影响。"),
    },
    "sign-in-busy": {
        "en": ("Many are signing in at this moment; try again in {seconds} seconds.", "Nothing was lost, and lessons open all the same."),
        "zh": ("此刻登录的人较多，请在 {seconds} 秒后再试。", "没有丢失内容，课程照常可用。"),
    },
    "password-differs": {
        "en": ("The two new passwords are not the same.", "Nothing was changed. Type the new password twice."),
        "zh": ("两次输入的新密码不一致。", "没有任何改动。请把新密码输入两遍。"),
    },
    "upload-unknown": {
        "en": ("No teacher sent a file {sha256}.", "`teachpoint hub uploads` lists what was sent."),
        "zh": ("没有老师上传过文件 {sha256}。", "`teachpoint hub uploads` 可列出已上传的文件。"),
    },
    "file-exists": {
        "en": ("{path} is there already.", "It was not overwritten. Name another file."),
        "zh": ("{path} 已存在。", "未覆盖该文件。请指定其他文件名。"),
    },
    "stick-without-feed": {
        "en": ("There is nothing for the site {site} on {path}.",
               "Nothing was changed. Use the stick that the hub school made for this site (`teachpoint hub carry`)."),
        "zh": ("{path} 上没有给教学点 {site} 的内容。", "没有任何改动。请使用中心学校为本教学点制作的 U 盘（`teachpoint hub carry`）。"),
    },
    "stick-leads-elsewhere": {
        "en": ("{path} is a link to another place.",
               "Nothing was written there. Remove the link, or use another stick; what waits for the hub stays in the box."),
        "zh": ("{path} 是指向其他位置的链接。", "没有写入任何内容。请删除该链接或换一个 U 盘；等待发送的内容仍保留在盒子里。"),
    },
}
