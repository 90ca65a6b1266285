"""The chat over one WebSocket: the same commands and the same events as over HTTP."""

import time
from typing import Any, Final

import anyio
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from labcore.kernel import LabError
from labcore.protocols.tokens import Grant
from servers.chat_service import contract
from servers.chat_service.contract import Answer, ProblemError
from servers.chat_service.domain import Slow
from servers.chat_service.doorman import FullError
from servers.chat_service.listening import Visits
from servers.chat_service.outlet import Texts
from servers.chat_service.rooms import Session
from servers.chat_service.wiring import OpenLane

RESUME_S: Final = 10.0  # for the first message


class _RefusedError(Exception):
    """The conversation ends here, with a close code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


async def converse(socket: WebSocket, lane: OpenLane, visits: Visits) -> None:
    """Serve a WebSocket from the handshake to its close."""
    try:
        room = contract.read_room(socket.path_params["room"])
        granted = lane.doorman.listener(socket, room)
    except ProblemError as exc:
        answer = exc.answer
        await socket.send_denial_response(
            Response(
                answer.body(), answer.status, headers=answer.headers, media_type=answer.media_type
            )
        )
        return
    await socket.accept()
    try:
        code, reason = await _served(socket, lane, visits, granted=granted, room=room)
        await socket.close(code, reason)
    except _RefusedError as exc:
        await socket.close(exc.code, str(exc))
    except (FullError, LabError):
        await socket.close(contract.TRY_LATER, "try again later")
    except WebSocketDisconnect:
        return


async def _served(
    socket: WebSocket, lane: OpenLane, visits: Visits, *, granted: Grant, room: str
) -> tuple[int, str]:
    last_id, slow = await _resumption(socket)
    talk = _Talk(socket, lane, room=room, member=granted.subject)
    async with visits.visit(granted, room, last_id=last_id, slow=slow) as session:
        outlet = Texts(session, socket)
        async with anyio.create_task_group() as group:
            group.start_soon(talk.listen, session, outlet)
            await outlet.pour(lane.handlers.stream)
            group.cancel_scope.cancel()
    if talk.refused is not None:
        raise talk.refused
    if outlet.gone:
        raise WebSocketDisconnect
    if session.reason == contract.TOKEN_ENDED:
        return contract.TOKEN_ENDED, "the token has ended"
    if session.reason == contract.GOING_AWAY:
        return contract.GOING_AWAY, "the server is leaving"
    return contract.TRY_LATER, "come back with your last id"


async def _resumption(socket: WebSocket) -> tuple[int | None, Slow]:
    document: dict[str, Any] = {}
    with anyio.move_on_after(RESUME_S):
        document = await _received(socket)
    try:
        if document.get("type") != "resume":
            raise _RefusedError(contract.POLICY, "the first message must be of type resume")
        last_id = contract.read_last_id(document.get("last_id"), "#/last_id")
        return last_id, contract.read_slow(document.get("slow"))
    except ProblemError as exc:
        raise _RefusedError(contract.POLICY, str(exc)[:100]) from exc


async def _received(socket: WebSocket) -> dict[str, Any]:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1006))
    text = message.get("text")
    if text is None:
        raise _RefusedError(contract.POLICY, "messages are text")
    if len(text) > contract.MOST_BODY_BYTES:
        raise _RefusedError(contract.TOO_BIG, "the message is too long")
    try:
        return contract.read_object(text)
    except ProblemError as exc:
        raise _RefusedError(contract.POLICY, str(exc)[:100]) from exc


class _Talk:
    """What the client says, one message after the other; each gets its answer."""

    def __init__(self, socket: WebSocket, lane: OpenLane, *, room: str, member: str) -> None:
        self.refused: _RefusedError | None = None
        self._socket = socket
        self._lane = lane
        self._room = room
        self._member = member

    async def listen(self, session: Session, outlet: Texts) -> None:
        """Until the client leaves or says what it must not; that ends the session."""
        try:
            while True:
                document = await _received(self._socket)
                await self._socket.send_text(contract.compact(await self._answer(document)))
        except _RefusedError as exc:
            self.refused = exc
            session.end(exc.code)
        except WebSocketDisconnect:
            outlet.leave()

    async def _answer(self, document: dict[str, Any]) -> dict[str, Any]:
        kind = document.get("type")
        command = self._COMMANDS.get(kind) if isinstance(kind, str) else None
        try:
            if command is None:
                raise contract.invalid("#/type", f"must be one of {', '.join(self._COMMANDS)}")
            name, answering = command
            answer = await answering(self, document)
        except ProblemError as exc:
            name, answer = "problem", exc.answer
        except LabError:
            name, answer = "problem", contract.unfinished()
        about = {key: document[key] for key in ("client_id",) if key in document}
        return {**about, **answer.document, "type": name if answer.status < 400 else "problem"}

    async def _message(self, document: dict[str, Any]) -> Answer:
        new = contract.read_message(
            document, room=self._room, member=self._member, published_ns=time.monotonic_ns()
        )
        answer = contract.accepted(await self._lane.handlers.send(new), new)
        return Answer(answer.status, {**answer.document, "first": answer.status == 201})

    async def _ack(self, document: dict[str, Any]) -> Answer:
        up_to = contract.read_up_to(document)
        last_id = await self._lane.handlers.ack(self._room, self._member, up_to)
        return contract.acked(last_id, room=self._room, member=self._member)

    async def _beat(self, document: dict[str, Any]) -> Answer:
        tab = contract.read_name(document, "tab")
        here = await self._lane.attendance.beat(self._room, self._member, tab)
        return contract.present(self._room, here)

    async def _leave(self, document: dict[str, Any]) -> Answer:
        tab = contract.read_name(document, "tab")
        here = await self._lane.attendance.leave(self._room, self._member, tab)
        return contract.present(self._room, here)

    _COMMANDS: Final = {
        "message": ("accepted", _message),
        "ack": ("acked", _ack),
        "beat": ("present", _beat),
        "leave": ("present", _leave),
    }
