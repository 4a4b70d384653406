from tests.pages.conftest import _assets
from tests.pages.conftest import browse as browse_pages

__all__ = ["_assets", "browse_pages"]
