"""What Streamlit says of its own, which is English alone, in Turkish: `own_words.js` puts it in its place."""

import json
from pathlib import Path

OWN = {
    "Sidebar": "Kenar çubuğu",
    "Collapse sidebar": "Kenar çubuğunu kapat",
    "Expand sidebar": "Kenar çubuğunu aç",
    "Navigate to home page": "Ana sayfaya git",
    "Skip to main content": "İçeriğe geç",
    "Show password": "Parolayı göster",
    "Hide password": "Parolayı gizle",
    "Help": "Açıklama",
    "Close": "Kapat",
    "Open": "Aç",
    "Choose date range": "Tarih aralığı seç",
    "Date range": "Hazır aralık",
    "Quick select a date range": "Hazır bir aralık seç",
    "Select...": "Seçin…",
    "Past Week": "Son hafta",
    "Past Month": "Son ay",
    "Past 3 Months": "Son 3 ay",
    "Past 6 Months": "Son 6 ay",
    "Past Year": "Son yıl",
    "Past 2 Years": "Son 2 yıl",
    "Previous month": "Önceki ay",
    "Next month": "Sonraki ay",
    "Selected values": "Seçilenler",
    "Clear all": "Tümünü kaldır",
    "No results": "Sonuç yok",
    "Show data": "Verileri göster",
    "Download as PNG": "Grafiği kaydet (PNG)",
    "Copy Vega-Lite spec": "Vega-Lite tanımını kopyala",
    "Fullscreen": "Tam ekran",
    "Close fullscreen": "Tam ekrandan çık",
    "Show/hide columns": "Sütunları göster veya gizle",
    "Download as CSV": "Tabloyu kaydet (CSV)",
    "Search": "Ara",
    "Type to search": "Aramak için yazın",
    "Sort ascending": "Artan sırala",
    "Sort descending": "Azalan sırala",
    "Statistics": "Özet",
    "Format": "Biçim",
    "Autosize": "Genişliği ayarla",
    "Pin column": "Sütunu sabitle",
    "Unpin column": "Sütunu serbest bırak",
    "Hide column": "Sütunu gizle",
}
AROUND = {
    "^Help for (.*)$": "Açıklama: $1",
    "^Remove (.*)$": "Kaldır: $1",
    "^(.*) start date$": "$1, başlangıç",
    "^(.*) end date$": "$1, bitiş",
    "^day, (.*)$": "$1: gün",
    "^month, (.*)$": "$1: ay",
    "^year, (.*)$": "$1: yıl",
}
"""What it says around names and texts of ours."""


def script() -> str:
    """Return what a page runs so that it says these words while it is Turkish."""
    code = Path(__file__).with_suffix(".js").read_text()
    return f"<script>({code})({json.dumps(OWN)}, {json.dumps(AROUND)})</script>"
