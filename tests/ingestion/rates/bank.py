"""Two central banks on loopback, in the shapes in which the real ones publish."""

from dataclasses import dataclass, field
from datetime import date

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

CURRENCY = """
	<Currency CrossOrder="{place}" Kod="{code}" CurrencyCode="{code}">
			<Unit>{unit}</Unit>
			<Isim>PARA</Isim>
			<CurrencyName>{code}</CurrencyName>
			<ForexBuying>{buying}</ForexBuying>
			<ForexSelling>{buying}9</ForexSelling>
			<BanknoteBuying/>
			<BanknoteSelling/>
			<CrossRateUSD/>
			<CrossRateOther/>

	</Currency>"""
ECB = """<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
	<gesmes:subject>Reference rates</gesmes:subject>
	<gesmes:Sender>
		<gesmes:name>European Central Bank</gesmes:name>
	</gesmes:Sender>
	<Cube>{days}
	</Cube>
</gesmes:Envelope>"""


def tcmb(day: date, **rates: tuple[str, str]) -> str:
    """Return the TCMB's file of a day: code → unit and buying rate."""
    told = "".join(
        CURRENCY.format(place=place, code=code, unit=unit, buying=buying)
        for place, (code, (unit, buying)) in enumerate(rates.items())
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<?xml-stylesheet type="text/xsl" href="isokur.xsl"?>\n'
        f'<Tarih_Date Tarih="{day:%d.%m.%Y}" Date="{day:%m/%d/%Y}"  Bulten_No="{day.year}/{day.timetuple().tm_yday}" >'
        f"{told}\n</Tarih_Date>"
    )


def ecb(days: dict[date, dict[str, str]]) -> str:
    """Return the ECB's file of some days: how much of each currency one euro is."""
    told = "".join(
        f'\n\t\t<Cube time="{day}">'
        + "".join(f'\n\t\t\t<Cube currency="{code}" rate="{rate}"/>' for code, rate in rates.items())
        + "</Cube>"
        for day, rates in sorted(days.items(), reverse=True)
    )
    return ECB.format(days=told)


@dataclass
class Banks:
    """What both publish. Days without a file were none of business."""

    of_tcmb: dict[date, str] = field(default_factory=dict)
    of_ecb: dict[date, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    is_broken: bool = False

    @property
    def app(self) -> Starlette:
        """The application that serves them."""
        return Starlette(routes=[Route("/{path:path}", self._answer)])

    async def _answer(self, request: Request) -> Response:
        path = request.path_params["path"]
        self.asked.append(path)
        if self.is_broken:
            return Response("come again later", 503)
        files = {f"kurlar/{day:%Y%m}/{day:%d%m%Y}.xml": body for day, body in self.of_tcmb.items()}
        files |= {f"eurofxref/eurofxref-{name}.xml": ecb(self.of_ecb) for name in ("hist", "hist-90d")}
        if path not in files:
            return Response("<html>404</html>", 404, media_type="text/html")
        return Response(files[path], media_type="application/xml")
