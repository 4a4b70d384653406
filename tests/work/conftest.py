from tests.pages.conftest import _assets, browse

__all__ = ["_assets", "browse"]
