"""What the page of the floor says, in Turkish and in English: queues, agents, dialling campaigns and error budgets."""

FLOOR: dict[str, tuple[str, str]] = {
    "floor": ("Santral", "Floor"),
    "live": ("Canlı", "Live"),
    "live.help": (
        "Kapalıyken sayfa durur: okumak ve klavyeyle gezinmek için.",
        "Off, the page stands still: to read it, or to move through it by keyboard.",
    ),
    "at": ("Saat {at} itibarıyla", "As of {at}"),
    "silent": (
        "API yanıt vermiyor. Aşağıda {at} anındaki durum var; şimdiki değil.",
        "The API does not answer. Below is how things stood at {at}, not how they stand now.",
    ),
    "stood": ("Yeni değil: API yanıt vermiyor.", "Not new: the API does not answer."),
    "queues": ("Kuyruklar", "Queues"),
    "queues.none": (
        "Henüz kuyruk yok. Arayanlar bir kuyrukta bekler; ilki API ile kurulur:",
        "There is no queue yet. Callers wait in one; the API makes the first:",
    ),
    "ask_manager": ("Bunu bir müdür yapabilir.", "A manager can do this."),
    "depth": ("Bekleyen", "Waiting"),
    "depth.help": ("Şu anda kuyrukta bekleyen arayanlar.", "Callers who wait in the queue now."),
    "longest": ("En uzun bekleme", "Longest wait"),
    "longest.help": ("İlk sıradakinin ne kadardır beklediği.", "For how long the first of them has waited."),
    "longest.none": ("Kimse beklemiyor.", "Nobody waits."),
    "service_level": ("Servis seviyesi", "Service level"),
    "service_level.help": (
        "Son 30 dakika: {s} saniye içinde yanıtlananların, yanıtlanması gerekenlere oranı. Kısa vazgeçmeler ve "
        "geri aranmak isteyenler sayılmaz, başka yere gönderilenler geç kalmış sayılır.",
        "Last 30 minutes: answered within {s} seconds, of all who were to be answered. Short abandons and "
        "callbacks are left out; who was sent on counts as missed.",
    ),
    "service_level.none": (
        "Son 30 dakikada yanıtlanması gereken çağrı olmadı.",
        "No call was to be answered in the last 30 minutes.",
    ),
    "service_level.on": ("hedefte (%{target})", "on target ({target}%)"),
    "service_level.under": ("hedefin altında (%{target})", "under target ({target}%)"),
    "half_hour": ("son 30 dk, n = {n}", "last 30 min, n = {n}"),
    "next_wait": ("Şimdi arayan tahminen {wait} bekler", "Who calls now waits about {wait}"),
    "next_wait.none": (
        "Hizmet veren temsilci yok: şimdi arayan için bekleme kestirilemez",
        "Nobody serves: the wait of who calls now cannot be told",
    ),
    "next_wait.now": ("Şimdi arayan hemen yanıtlanır", "Who calls now is answered at once"),
    "queue.paused": ("duraklatıldı", "paused"),
    "queue.overflowing": ("başka yere gönderiliyor", "sent elsewhere"),
    "queue.nobody": ("Kuyrukta oturum açmış temsilci yok", "No agent is signed on in this queue"),
    "agents": ("Temsilciler", "Agents"),
    "agents.none": (
        "Telefonu olan temsilci yok. Her kişiye santraldeki hattı verilir; sonra oturum açabilir:",
        "No agent has a telephone. Each person is given an endpoint of the exchange, and can then sign on:",
    ),
    "agents.ask_admin": ("Bunu bir yönetici yapabilir.", "An administrator can do this."),
    "agent": ("Temsilci", "Agent"),
    "state": ("Durum", "State"),
    "since": ("Süre", "For"),
    "since.help": ("Bu durumda ne kadardır.", "For how long in this state."),
    "since.none": ("Henüz hiç oturum açmadı.", "Has never signed on."),
    "why": ("Neden", "Reason"),
    "follows": ("sonra: {state}", "then: {state}"),
    "occupancy": ("Bugünkü doluluk", "Occupancy today"),
    "occupancy.help": (
        "Gece yarısından beri meşgul saniyelerin meşgul ve hazır saniyelere oranı. Konuşma, bekletme, arama ve "
        "görüşme sonrası meşguldür; çalma ve mola hiçbirine girmez.",
        "Busy by busy and available seconds since midnight. Talking, holding, dialling and writing up are busy; "
        "ringing and pauses are in neither part.",
    ),
    "occupancy.none": ("Bugün ne hazır ne meşgul oldu.", "Neither available nor busy today."),
    "agent.available": ("hazır", "available"),
    "agent.reserved": ("ayrıldı", "reserved"),
    "agent.ringing": ("çalıyor", "ringing"),
    "agent.on_call": ("görüşmede", "on a call"),
    "agent.wrap_up": ("görüşme sonrası", "wrap-up"),
    "agent.paused": ("molada", "paused"),
    "agent.not_responding": ("yanıt vermiyor", "not responding"),
    "agent.offline": ("çevrimdışı", "offline"),
    "dialling": ("Arama kampanyaları", "Dialling campaigns"),
    "dialling.none": (
        "Süren ya da hazırlanan arama kampanyası yok. Yenisi API ile tasarlanır, yüklenir ve başlatılır:",
        "No dialling campaign is running or in preparation. The API designs, loads and starts one:",
    ),
    "mode.manual": ("elle", "manual"),
    "mode.preview": ("önizlemeli", "preview"),
    "mode.progressive": ("sıralı", "progressive"),
    "mode.power": ("katlı", "power"),
    "mode.predictive": ("öngörülü", "predictive"),
    "run.draft": ("taslak", "draft"),
    "run.running": ("çalışıyor", "running"),
    "run.paused": ("duraklatıldı", "paused"),
    "run.draining": ("boşalıyor", "draining"),
    "under_way": ("süren arama: {n}", "calls under way: {n}"),
    "unmanned": (
        "Bu kampanyayı yürüten bir arayıcı yok: `santral dialer` çalışıyor mu?",
        "No dialer runs this campaign: is `santral dialer` at work?",
    ),
    "budget": ("Hata payı", "Error budget"),
    "budget.help": (
        "Açan kişilerin ne kadarı temsilcisiz kalabilir. Tavan yasanındır, ya da kampanyanın daha düşük olanıdır. "
        "Gerçek oranın üst sınırı (Clopper-Pearson) vardiyada %50, son 30 günde %95 güvenle tavanı aşmamalıdır.",
        "How many of the people who answer may be left without an agent. The cap is the law's, or a lower one of the "
        "campaign. The upper bound of the true rate (Clopper-Pearson) is not to pass it: in the shift with 50%, in 30 "
        "days with 95% confidence.",
    ),
    "window": ("Pencere", "Window"),
    "window.shift": ("Vardiya", "Shift"),
    "window.month": ("Son 30 gün", "Last 30 days"),
    "live_answers": ("Karşılayan", "Answered"),
    "live_answers.help": ("Telefonu açan insanlar; makineler sayılmaz.", "People who answered; machines do not count."),
    "left_alone": ("Karşılıksız", "Abandoned"),
    "left_alone.help": (
        "Açtığı hâlde iki saniye içinde temsilci bulamayanlar.",
        "Who answered and had no agent within two seconds.",
    ),
    "rate": ("Oran", "Rate"),
    "rate.help": ("Karşılıksız kalanların karşılayanlara oranı.", "Abandoned by answered."),
    "rate.none": ("Bu pencerede karşılayan olmadı.", "Nobody answered in this window."),
    "bound": ("Üst sınır, tavana göre", "Upper bound against the cap"),
    "bound.help": (
        "Bant, gerçek oranın olabileceği yerdir; kalın çizgi ölçülen oran, ortadaki çizgi tavan. Bandın tavanı geçen "
        "yeri turuncudur; bant bütünüyle geçerse kampanya durur. Sayı üst sınırdır, ▲ tavanın üstünde demektir.",
        "The band is where the true rate may be, the thick tick the measured one, the line in the middle the cap. What "
        "passes the cap is orange; when all of the band does, dialling stops. The number is the upper bound, ▲ above "
        "the cap.",
    ),
    "bound.said": (
        "{window}: {answered} karşılayandan {abandoned} karşılıksız, oran {rate}, üst sınır {upper}, tavan {cap}",
        "{window}: {abandoned} of {answered} abandoned, rate {rate}, upper bound {upper}, cap {cap}",
    ),
    "of_cap": ("tavan {cap}", "cap {cap}"),
    "more_allowed": ("Kalan pay", "More allowed"),
    "more_allowed.help": (
        "Sıradaki karşılayanlardan kaçı karşılıksız kalsa sınır yine tavanı aşmaz.",
        "How many of the next answers could be abandoned with the bound still at the cap.",
    ),
    "may.full": (
        "Kendi temposunda arayabilir: {n} karşılıksız çağrı daha iki pencereye de sığar.",
        "May dial at its own pace: both windows bear {n} more.",
    ),
    "may.progressive": ("Hazır her temsilci için bir arama.", "One call for each ready agent."),
    "may.zero": (
        "Kendiliğinden arama yok; temsilciler elle sürdürebilir.",
        "Nothing is dialled by itself; agents may go on by hand.",
    ),
    "may.by_agents": (
        "Temsilci hatta önce kendisi vardır; kimse karşılıksız kalmaz.",
        "The agent is on the line first; nobody is left without one.",
    ),
    "may.own_pace": (
        "Hazır her temsilci için bir arama: kipin kendi temposu.",
        "One call for each ready agent: the mode's own pace.",
    ),
    "because.shift.spent": ("Vardiyanın hata payı bitti.", "The shift's error budget is spent."),
    "because.month.spent": ("Son 30 günün hata payı bitti.", "The error budget of the last 30 days is spent."),
    "because.shift.unproven": (
        "Vardiyada henüz çok az şey biliniyor.",
        "Too little is known of this shift yet.",
    ),
    "because.month.unproven": (
        "Henüz çok az şey biliniyor: daha fazlası için karşılıksız çağrısız 160 kadar yanıt gerekir.",
        "Too little is known yet: more takes some 160 answers without an abandonment.",
    ),
    "because.shift.broken": (
        "Vardiyanın oranı kuşkuya yer bırakmadan tavanın üstünde.",
        "The shift's rate is above the cap beyond reasonable doubt.",
    ),
    "because.month.broken": (
        "30 günün oranı kuşkuya yer bırakmadan tavanın üstünde.",
        "The rate of 30 days is above the cap beyond reasonable doubt.",
    ),
    "day": ("Bugün, kuyruklara göre", "Today by queue"),
    "day.forbidden": (
        "Kampanyalar ve günün rakamları müdürlere ve denetçilere açıktır.",
        "Campaigns and the figures of the day are open to managers and auditors.",
    ),
    "day.none": ("Bugün hiçbir kuyruğa çağrı gelmedi.", "No call came to any queue today."),
    "queue": ("Kuyruk", "Queue"),
    "total": ("Toplam", "In all"),
    "offered": ("Sunulan", "Offered"),
    "offered.help": (
        "Çalışma saatleri içinde kuyruğa gelen çağrılar.",
        "Calls that came to the queue in opening hours.",
    ),
    "answered": ("Yanıtlanan", "Answered"),
    "answered.help": ("Bir temsilciyle konuşanlar.", "Who spoke with an agent."),
    "abandoned": ("Vazgeçen", "Abandoned"),
    "abandoned.help": (
        "Temsilci yanıtlamadan kapatanlar, kısa vazgeçmeler dâhil.",
        "Who hung up before, short abandons among them.",
    ),
    "day.level.help": (
        "Bugün zamanında yanıtlananların, yanıtlanması gerekenlere oranı.",
        "Answered in time today, of all who were to be answered.",
    ),
    "day.level.none": ("Bugün yanıtlanması gereken çağrı olmadı.", "No call was to be answered today."),
    "asa": ("Ort. yanıt süresi", "ASA"),
    "asa.help": (
        "Yanıtlananların ortalama bekleme süresi, çalma dâhil.",
        "Average speed of answer: the mean wait of those answered, ringing included.",
    ),
    "asa.none": ("Bugün yanıtlanan çağrı yok.", "No call was answered today."),
    "outside_hours": (
        "Çalışma saatleri dışında gelen {n} çağrı hiçbir rakama girmez.",
        "{n} calls outside opening hours are in no figure.",
    ),
}
