"""The SPARQL endpoint: judge, negotiate, ask a worker, stream; a failure after the first byte breaks the transfer."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from cityorchestra_ld.errors import CityOrchestraError, Place, Text
from cityorchestra_ld.formats import GRAPH_FORMATS, HTML, RESULT_FORMATS, TURTLE, Format, Offer, named, negotiate
from cityorchestra_ld.governance.views import view
from cityorchestra_ld.store import Answer as Stream
from cityorchestra_ld.store import Inspected, inspect
from cityorchestra_ld.web.http import CACHED, VARY, Answer, Ask, ask_from, etag, http_date, is_fresh, not_modified
from cityorchestra_ld.web.problems import MethodError, NotAcceptableError, TooLargeError, Variant, details, wants_page
from cityorchestra_ld.web.protocol import METHODS, SparqlRequest, read_request
from cityorchestra_ld.web.representation import CACHED as _CACHED
