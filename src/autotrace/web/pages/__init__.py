"""The pages, a module each: what one shows, as JSON can hold it; a template of the same name makes HTML of that."""

from __future__ import annotations

from . import overview
from .page import Page

PAGES: tuple[Page, ...] = (overview.PAGE,)
