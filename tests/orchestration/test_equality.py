from tests.conftest import Tenant
from tests.orchestration import story
from tests.pipeline import Build
from orchestration import equality, warehouse
from crm import clock
import time
class TestX:
    async def test_x(self, build: Build, tenant: Tenant, other_tenant: Tenant) -> None:
        t=time.time()
        await story.play(tenant)
        print("play", time.time()-t); t=time.time()
        await build("--exclude-resource-type", "test", "--exclude", "tag:platform")
        print("build", time.time()-t); t=time.time()
        with warehouse.connect() as c:
            slices = equality.slices_of(c, tenant.id, 7, each=1)
            print(len(slices), set(equality.HANDS) - {s.metric for s in slices})
            r = await equality.compare_slices(c, tenant.id, slices, now=clock.utc_now())
            print("compare", time.time()-t); t=time.time()
            print(r.ways, r.not_asked)
            for d in r.differences: print(d)
            whole = [equality.Slice(s.metric, None, s.since.replace(year=1990), s.until.replace(year=2030)) for s in slices]
            t=time.time()
            r = await equality.compare_slices(c, tenant.id, whole, now=clock.utc_now())
            print("compare2", time.time()-t); t=time.time()
            for d in r.differences: print(d)
        assert 0
