"""Audio: transcribed, translated, spoken."""

from __future__ import annotations

import base64

from autotrace.testing.openai_api.answer import pieces
from autotrace.testing.openai_api.ask import JSON, Ask
from autotrace.testing.openai_api.billing import Billed
from autotrace.testing.openai_api.reply import SSE, Reply, encode, event
from autotrace.testing.openai_api.samples import AUDIO


def transcription(ask: Ask) -> Reply:
    """`POST /audio/transcriptions`: whisper is billed by the second, the others by tokens."""
    text = ask.wanted.text or f"This is the transcript {ask.digest % 2**24:06x}."
    style = ask.body.get("response_format", "json")
    if style in ("text", "srt", "vtt"):
        return Reply(text.encode() + b"\n", content_type="text/plain; charset=utf-8")
    if str(ask.body.get("model", "whisper-1")).startswith("whisper"):
        value: JSON = {"text": text, "usage": {"type": "duration", "seconds": ask.figure(2, 50, 3)}}
        if style == "verbose_json":
            value |= {
                "task": "transcribe",
                "language": "english",
                "duration": 4.5,
                "segments": [],
                "words": [],
            }
        return Reply(encode(value))
    audio, wrote = ask.figure(200, 800, 0), ask.figure(1200, 800, 2)
    billed = Billed(1, audio + 14, wrote, input_audio_tokens=audio)
    usage = {
        "type": "tokens",
        "input_tokens": billed.input_tokens,
        "input_token_details": {"text_tokens": 14, "audio_tokens": audio},
        "output_tokens": wrote,
        "total_tokens": billed.input_tokens + wrote,
    }
    if not ask.streams:
        return Reply(encode({"text": text, "usage": usage}), billed=billed)
    parts: list[JSON] = [{"type": "transcript.text.delta", "delta": piece} for piece in pieces(text, ask.wanted.chunks)]
    parts.append({"type": "transcript.text.done", "text": text, "usage": usage})
    return Reply(chunks=[event(part) for part in parts], content_type=SSE, billed=billed)


def translation(ask: Ask) -> Reply:
    """`POST /audio/translations`: billed by the second, so without tokens."""
    return Reply(encode({"text": ask.wanted.text or f"This is the translation {ask.digest % 2**24:06x}."}))


def speech(ask: Ask) -> Reply:
    """`POST /audio/speech`: audio in three chunks, without tokens; or events, with."""
    data = [AUDIO[start : start + 700] for start in range(0, len(AUDIO), 700)]
    if ask.body.get("stream_format") != "sse":
        return Reply(chunks=data, content_type="audio/mpeg")
    billed = Billed(1, ask.figure(200, 800, 0), ask.figure(1200, 800, 2))
    usage = {"input_tokens": billed.input_tokens, "output_tokens": billed.output_tokens}
    usage["total_tokens"] = sum(usage.values())
    parts: list[JSON] = [{"type": "speech.audio.delta", "audio": base64.b64encode(d).decode()} for d in data]
    parts.append({"type": "speech.audio.done", "usage": usage})
    return Reply(chunks=[event(part) for part in parts], content_type=SSE, billed=billed)
