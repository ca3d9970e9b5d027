"""The core of the attack in other languages: set aside what you were told, show the prompt, tell users nothing.

RE2 folds case as Unicode does, so that Cyrillic and accented capitals are found. Accents may be missing.
"""

from __future__ import annotations

from typing import Final

from sidecar.guardrails.injection.grammar import THEN, G, near

_L = r"[\p{L}\p{M}]*"

_OVERRIDE: Final = {
    "de": (
        rf"\b(?:ignorier|vergi(?:ss|ß)|vergessen sie|missacht|mi(?:ss|ß)acht|beachte nicht|überschreib"
        rf"|verwirf){_L}{THEN}{near(40)}(?:anweisung|instruktion|vorgabe|regeln|befehl|anleitung"
        rf"|richtlinie|systemprompt|system-prompt){_L}"
    ),
    "de-verb-last": (
        rf"(?:anweisung|instruktion|vorgabe|regeln|befehl|richtlinie){_L}{THEN}"
        rf"{near(30)}(?:zu ignorieren|ignorieren|nicht befolgen|missachten|vergessen)"
    ),
    "fr": (
        rf"\b(?:ignore[rz]?|oublie[rz]?|n[ée]glige[rz]?|ne tien{_L} pas compte|fai(?:s|tes) abstraction"
        rf"|ne sui(?:s|vez) pas)\b{THEN}{near(20)}\b(?:les|tes|vos|tous|toutes|ces|mes|de|des){G}"
        rf"{near(25)}(?:instructions|consignes|directives|r[èe]gles|ordres)\b"
    ),
    "es": (
        rf"\b(?:ignora|ignore|ignorar|olvida|olvide|olvidar|descarta|descarte|omite|omita|haz caso omiso"
        rf"|haga caso omiso|no sigas|no siga|desatiende){THEN}{near(40)}(?:instrucciones|instrucci[oó]n"
        rf"|[oó]rdenes|reglas|indicaciones|directrices){_L}"
    ),
    "it": (
        rf"\b(?:ignora|ignorare|ignorate|dimentica|dimenticare|trascura|non seguire"
        rf"|non tenere conto){THEN}{near(40)}(?:istruzion|regol|indicazion|direttiv|ordini){_L}"
    ),
    "pt": (
        rf"\b(?:ignore|ignora|ignorar|esque[çc]a|esquece|esquecer|desconsidere|desconsidera|n[ãa]o siga"
        rf"|despreze)\b{THEN}{near(40)}(?:instru[çc][õo]es|ordens|regras|comandos|diretrizes|orienta[çc]){_L}"
    ),
    "nl": (
        rf"\b(?:negeer|vergeet|volg niet){THEN}{near(40)}(?:instructies|opdrachten|regels|aanwijzingen"
        rf"|bevelen|richtlijnen)"
    ),
    "pl": (
        rf"(?:zignoruj|ignoruj|pomi[ńn]|zapomnij o|zlekcewa[żz]){THEN}{near(40)}(?:instrukcj|polece"
        rf"|zasad|wskaz[óo]w|wytyczn|rozkaz){_L}"
    ),
    "cs": (
        rf"\b(?:ignoruj|zapome[ňn]|nedodr[žz]uj){_L}{THEN}{near(40)}(?:instrukc|pokyn|p[řr][íi]kaz"
        rf"|pravidl){_L}"
    ),
    "sv": (
        rf"\b(?:ignorera|gl[öo]m|bortse fr[åa]n){THEN}{near(40)}(?:instruktion|anvisning|regler"
        rf"|order){_L}"
    ),
    "ru": (
        rf"(?:игнорир|проигнорир|забудь|забыть|не обращай{_L} внимания|отмени|пренебреги"
        rf"|не следуй){_L}{THEN}{near(40)}(?:инструкци|указани|команд|правил|приказ|предписани){_L}"
    ),
    "uk": rf"(?:ігнор|проігнор|забудь|відкинь){_L}{THEN}{near(40)}(?:інструкці|вказівк|команд|правил){_L}",
    "tr": (
        rf"(?:talimat|komut|y[öo]nerge|kural){_L}{THEN}{near(25)}(?:yok say|g[öo]z ard[ıi]|unut"
        rf"|g[öo]rmezden|dikkate alma){_L}"
    ),
    "vi": (
        rf"(?:bỏ qua|phớt lờ|hãy quên|quên hết){THEN}{near(30)}(?:hướng dẫn|chỉ dẫn|lệnh|chỉ thị|quy tắc)"
    ),
    "id": rf"\b(?:abaikan|lupakan){THEN}{near(30)}(?:instruksi|perintah|petunjuk|aturan|arahan)",
    "ar": (
        rf"(?:تجاهل|انس|انسى|لا تتبع|اهمل|أهمل){_L}{THEN}{near(30)}(?:تعليمات|التعليمات|الأوامر|أوامر"
        rf"|الاوامر|القواعد|التوجيهات|الإرشادات)"
    ),
    "fa": rf"(?:دستور|دستورالعمل){_L}{THEN}{near(25)}(?:نادیده|فراموش|بی.?توجه)",
    "he": (
        rf"(?:התעלם|התעלמי|תתעלם|שכח|תשכח){THEN}{near(30)}(?:הוראות|ההוראות|הנחיות|ההנחיות|פקודות|הכללים)"
    ),
    "hi": (
        rf"(?:निर्देश|आदेश|नियम|हिदायत){_L}{THEN}{near(25)}(?:अनदेखा|नज़रअंदाज़|नजरअंदाज|उपेक्षा|भूल"
        rf"|ध्यान न)"
    ),
    "zh": (
        rf"(?:忽略|忽视|忽視|无视|無視|忘记|忘記|忘掉|不要理会|不要遵守|不要遵循|抛开|撇开|跳过){THEN}{near(4)}(?:之前|以前|以上|先前|上述|上面|前面|此前"
        rf"|所有|一切|任何|全部|你的|系统|系統|原来|原本|原先){near(10)}(?:指令|指示|说明|說明|提示|规则|規則|命令|要求|设定|設定|限制|内容|的话|对话)"
    ),
    "ja": (
        rf"(?:以前|これまで|今まで|上記|前|すべて|全て|全部|先|元|システム){THEN}{near(12)}(?:指示|命令|指令|ルール|プロンプト|説明|規則|設定"
        rf"|制約){near(8)}(?:無視|忘れ|破棄|従わな|無効)"
    ),
    "ja-ignore-and": r"(?:無視して|無視し)、",
    "ko": (
        rf"(?:이전|위의|위에|앞선|앞의|모든|지금까지|기존|시스템){THEN}{near(14)}(?:지시|명령|지침|규칙|프롬프트|설정|제약){near(8)}(?:무시|잊"
        rf"|따르지)"
    ),
    "th": rf"(?:เพิกเฉย|ละเว้น|ลืม|ไม่ต้องสนใจ|อย่าสนใจ){THEN}{near(20)}(?:คำสั่ง|คำแนะนำ|กฎ|ข้อกำหนด)",
}

_EXTRACTION: Final = {
    "de": (
        rf"\b(?:zeig|gib|nenn|verrat|wiederhol|drucke?|offenbar|offenleg){_L}{THEN}"
        rf"{near(35)}(?:system-?[ ]?prompt|systemanweisung|systemnachricht|(?:geheime|versteckte"
        rf"|urspr[üu]ngliche){_L} anweisung){_L}"
    ),
    "fr": (
        rf"\b(?:montre|affiche|r[ée]v[èe]le|donne|r[ée]p[èe]te|imprime|dis-moi"
        rf"|dites-moi){_L}{THEN}{near(35)}(?:prompt|invite|message|instructions?)(?: de"
        rf"| du)? ?(?:syst[èe]me|initial|cach[ée])"
    ),
    "es": (
        rf"\b(?:muestra|mu[ée]strame|revela|imprime|dime|repite|ense[ñn]a){_L}{THEN}{near(35)}(?:prompt"
        rf"|indicador|mensaje|instrucciones)(?: del? )?(?:sistema|inicial|ocult)"
    ),
    "it": (
        rf"\b(?:mostra|rivela|stampa|dimmi|ripeti){_L}{THEN}{near(35)}(?:prompt|messaggio"
        rf"|istruzioni)(?: di| del)? ?(?:sistema|inizial|nascost)"
    ),
    "pt": (
        rf"\b(?:mostre|revele|imprima|diga|repita|exiba|mostra){_L}{THEN}{near(35)}(?:prompt|mensagem"
        rf"|instru[çc][õo]es)(?: do| de)? ?(?:sistema|inicia|ocult)"
    ),
    "ru": (
        rf"(?:покажи|раскрой|выведи|напечатай|повтори|назови){_L}{THEN}"
        rf"{near(30)}(?:системн{_L} (?:промпт|инструкци|подсказк|сообщени|запрос)"
        rf"|скрыт{_L} инструкци){_L}"
    ),
    "zh": (
        rf"(?:显示|顯示|输出|輸出|告诉我|告訴我|透露|重复|重複|打印|公开|泄露|说出){THEN}{near(10)}(?:系统提示|系統提示|提示词|提示詞|初始指令|系统指令"
        rf"|隐藏指令|隐藏的指令)"
    ),
    "ja": (
        rf"(?:システムプロンプト|初期プロンプト|隠された指示|システムメッセージ){THEN}"
        rf"{near(12)}(?:表示|出力|教え|見せ|明かし|繰り返)"
    ),
    "ko": rf"(?:시스템 ?프롬프트|초기 ?지시|숨겨진 ?지시){THEN}{near(12)}(?:보여|출력|알려|공개|반복)",
}

_CONCEALMENT: Final = {
    "de": (
        rf"\b(?:sag|erz[äa]hl|teil|verrat|erw[äa]hn|informier|benachrichtig){_L}{THEN}"
        rf"{near(30)}(?:nutzer|benutzer|anwender|kunde){_L}{near(20)}(?:nicht|nichts|kein){_L}"
    ),
    "fr": (
        rf"\bne (?:dis|dites|parle|parlez|mentionne|mentionnez|r[ée]v[èe]le|informe|informez|pr[ée]viens"
        rf"|pr[ée]venez){_L}{THEN}{near(30)}(?:utilisateur|client)"
    ),
    "es": (
        rf"\bno (?:le |se lo )?(?:digas|diga|menciones|mencione|informes|informe|reveles|revele"
        rf"|avises){THEN}{near(30)}(?:usuario|cliente)"
    ),
    "it": rf"\bnon (?:dire|dirlo|menzionare|informare|rivelare|avvisare){THEN}{near(30)}(?:utente|cliente)",
    "pt": (
        rf"\bn[ãa]o (?:diga|conte|mencione|informe|revele|avise){THEN}{near(30)}(?:usu[áa]rio|utilizador"
        rf"|cliente)"
    ),
    "ru": (
        rf"не (?:говори|сообщай|упоминай|рассказывай|раскрывай|уведомляй){_L}{THEN}"
        rf"{near(25)}пользовател{_L}"
    ),
    "zh": (
        rf"(?:不要|别|請勿|请勿|切勿|不得|禁止){THEN}{near(2)}(?:告诉|告訴"
        rf"|通知|告知|提及|让|向){near(6)}(?:用户|用戶|使用者|客户)"
    ),
    "ja": (
        rf"(?:ユーザー?|利用者|お客様)(?:に|には|へ){THEN}{near(14)}(?:言わない"
        rf"|知らせない|伝えない|教えない|報告しない|明かさない|話さない|言うな)"
    ),
    "ko": rf"(?:사용자|고객)(?:에게|에게는|한테){THEN}{near(14)}(?:말하지|알리지|언급하지|보고하지|밝히지)",
}

LANGUAGES: Final[dict[str, str]] = {
    f"{kind}/{language}": pattern
    for kind, rules in {"OVERRIDE": _OVERRIDE, "EXTRACTION": _EXTRACTION, "CONCEALMENT": _CONCEALMENT}.items()
    for language, pattern in rules.items()
}
