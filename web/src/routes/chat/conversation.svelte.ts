// The open chat: its blocks, the turn that runs in it, what is being sent. Shows nothing itself.
import { api, ApiError } from '../../lib/api';
import { blocksOf, isOver, newTurn, openTurns, reduce, withApproval, withSteer, type Block, type LiveTurn } from '../../lib/chat';
import { keep, kept } from '../../lib/kept';
import { splitBlocks } from '../../lib/md';
import { asApiError } from '../../lib/resource.svelte';
import { followTurn, type TurnStream } from '../../lib/turn_stream';
import type { Approval, JournalFact, SessionRow, TurnEvent } from '../../lib/types';

/** Where messages go: the caller's name of the session, with its agent and channel. `id` is empty until the server knows it. */
export interface Place {
  id: string;
  name: string;
  agent: string;
  channel: string;
}

const RESUME_TRIES = 20;
const RESUME_PAUSE_MS = 400;

export class Conversation {
  place = $state.raw<Place | null>(null);
  blocks = $state.raw<Block[]>([]);
  hasMore = $state(false);
  isLoading = $state(false);
  isLost = $state(false);
  isStopping = $state(false);
  problem = $state.raw<ApiError | null>(null);
  stopProblem = $state.raw<ApiError | null>(null);
  /** What a screen reader is told next: whole blocks of the answer, each once. */
  announcement = $state('');

  /** The newest turn that still goes on. */
  readonly live = $derived.by(() => {
    const block = this.blocks.findLast((one) => one.kind === 'turn' && !isOver(one.turn.status));
    return block?.kind === 'turn' ? block.turn : null;
  });

  #run = 0;
  #stream: { id: string; stream: TurnStream } | null = null;
  #tries = 0;
  #resumeTimer: ReturnType<typeof setTimeout> | undefined;
  #oldest: number | undefined;
  #announced = new Map<string, number>();

  /** Shows a session's last messages, or an empty chat. */
  async open(place: Place | null): Promise<void> {
    this.close();
    this.place = place;
    this.blocks = [];
    this.hasMore = false;
    this.problem = null;
    if (place !== null && place.id !== '') await this.refresh();
  }

  /** Lets go of the network. */
  close(): void {
    this.#run += 1;
    this.#unfollow();
    clearTimeout(this.#resumeTimer);
    this.isLost = false;
  }

  /** Reads the last messages again; what is live or not yet sent stays. */
  async refresh(): Promise<void> {
    const place = this.place;
    if (place === null || place.id === '') return;
    const run = ++this.#run;
    this.isLoading = true;
    try {
      const page = await api.messages(place.id);
      if (run !== this.#run) return;
      this.problem = null;
      this.hasMore = page.has_more;
      this.#oldest = page.items[0]?.seq;
      this.#show(page.items);
    } catch (error) {
      if (run === this.#run) this.problem = asApiError(error);
    } finally {
      if (run === this.#run) this.isLoading = false;
    }
  }

  #show(items: Parameters<typeof blocksOf>[0]): void {
    const known = new Map(this.blocks.flatMap((block) => (block.kind === 'turn' ? [[block.turn.id, block.turn] as const] : [])));
    const pending = this.blocks.filter((block) => block.kind === 'user' && block.state !== 'kept');
    const open = new Set(openTurns(items));
    // What this page watched itself says more than the history does, so it is kept.
    const steered = new Set(
      [...known.values()].flatMap((turn) => turn.entries.flatMap((entry) => (entry.kind === 'steer' ? [turn.id + entry.text] : []))),
    );
    const blocks = blocksOf(items).flatMap((block): Block[] => {
      if (block.kind === 'user' && steered.has(block.turnId + block.text)) return [];
      if (block.kind !== 'turn') return [block];
      if (open.has(block.turn.id)) return [];
      const seen = known.get(block.turn.id);
      return seen !== undefined && isOver(seen.status) ? [{ ...block, turn: seen }] : [block];
    });
    const states = new Map(items.flatMap((item) => (item.turn_status ? [[item.turn_id, item.turn_status] as const] : [])));
    for (const id of open) {
      const turn = known.get(id) ?? newTurn(id, states.get(id) ?? 'running');
      blocks.push({ kind: 'turn', key: `t${id}`, turn });
    }
    this.blocks = [...blocks, ...pending];
    const newest = [...open].at(-1);
    if (newest !== undefined) this.#follow(newest);
  }

  /** The page before the oldest message shown. */
  async older(): Promise<void> {
    const place = this.place;
    if (place === null || this.isLoading || !this.hasMore) return;
    const run = this.#run;
    this.isLoading = true;
    try {
      const page = await api.messages(place.id, this.#oldest);
      if (run !== this.#run) return;
      this.hasMore = page.has_more;
      this.#oldest = page.items[0]?.seq ?? this.#oldest;
      this.blocks = [...blocksOf(page.items), ...this.blocks];
    } catch (error) {
      if (run === this.#run) this.problem = asApiError(error);
    } finally {
      if (run === this.#run) this.isLoading = false;
    }
  }

  /** Sends a message; resolves to the session's id once the server has it. The message stays, with Retry, where that fails. */
  async send(text: string, key = randomId()): Promise<string | undefined> {
    const place = this.place;
    if (place === null) return undefined;
    this.#putUser({ kind: 'user', key, text, at: new Date().toISOString(), turnId: '', state: 'sending' });
    try {
      const sent = await api.send(place.name, { client_id: key, text, agent: place.agent || undefined, channel: place.channel });
      if (this.place?.name !== place.name) return undefined;
      if (sent.session_id !== place.id) {
        // What was typed meanwhile goes along with the chat.
        keep(`draft:${sent.session_id}`, kept('draft:new'));
        keep('draft:new', '');
        this.place = { ...place, id: sent.session_id };
      }
      this.#accept(key, text, sent.turn_id, sent.command ? (sent.text ?? '') : undefined);
      return this.place.id;
    } catch (error) {
      const why = asApiError(error);
      this.#putUser({ kind: 'user', key, text, at: new Date().toISOString(), turnId: '', state: 'failed', problem: why.message });
      return undefined;
    }
  }

  /** Takes back a message that was not sent. */
  discard(key: string): void {
    this.blocks = this.blocks.filter((block) => block.key !== key);
  }

  #putUser(message: Block): void {
    const isThere = this.blocks.some((block) => block.key === message.key);
    this.blocks = isThere ? this.blocks.map((block) => (block.key === message.key ? message : block)) : [...this.blocks, message];
  }

  #accept(key: string, text: string, turnId: string | null | undefined, answer: string | undefined): void {
    const isSteer = this.live !== null && this.live.id === turnId;
    if (isSteer && turnId) {
      this.discard(key);
      this.#update(turnId, (turn) => withSteer(turn, key, text));
      // New words take the place of an answer that was waited for.
      void this.#loadApprovals(turnId);
      this.#tries = RESUME_TRIES;
      this.#follow(turnId);
      return;
    }
    this.blocks = this.blocks.map((block) =>
      block.key === key && block.kind === 'user' ? { ...block, state: 'kept', turnId: turnId ?? '' } : block,
    );
    if (answer !== undefined) {
      if (answer !== '') this.blocks = [...this.blocks, { kind: 'note', key: `${key}-answer`, text: answer, at: new Date().toISOString() }];
    } else if (turnId) {
      this.#ensure(turnId);
      this.#follow(turnId);
    }
  }

  /** Ends the running turn. */
  async stop(): Promise<void> {
    const turn = this.live;
    if (turn === null || this.isStopping) return;
    this.isStopping = true;
    this.stopProblem = null;
    try {
      await api.stop(turn.id);
      if (this.#stream === null) await this.#settle(turn.id);
    } catch (error) {
      this.stopProblem = asApiError(error);
    } finally {
      this.isStopping = false;
    }
  }

  /** An approval card was answered here, or found to be answered elsewhere. */
  answered(turnId: string, approval: Approval): void {
    this.#update(turnId, (turn) => withApproval(turn, approval));
    this.#tries = RESUME_TRIES;
    this.#follow(turnId);
  }

  /** A fact of the browser's stream. */
  hear(fact: JournalFact): void {
    const place = this.place;
    if (place === null || place.id === '') return;
    const turn = fact.turn_id ? this.#turn(fact.turn_id) : undefined;
    if (fact.type === 'turn.state' && turn !== undefined && this.#stream?.id !== turn.id) {
      if (fact.status === 'running') this.#follow(turn.id);
      else if (fact.status && fact.status !== turn.status) void this.#settle(turn.id);
    } else if (fact.type.startsWith('approval.') && turn !== undefined && this.#stream?.id !== turn.id) {
      void this.#loadApprovals(turn.id);
    } else if (
      (fact.type === 'message.in' || fact.type === 'turn.state') &&
      turn === undefined &&
      isAbout(fact, place) &&
      !this.#isSending()
    ) {
      void this.refresh();
    }
  }

  #isSending(): boolean {
    return this.blocks.some((block) => block.kind === 'user' && block.state === 'sending');
  }

  #turn(id: string): LiveTurn | undefined {
    const block = this.blocks.find((one) => one.kind === 'turn' && one.turn.id === id);
    return block?.kind === 'turn' ? block.turn : undefined;
  }

  #ensure(id: string): void {
    if (this.#turn(id) === undefined) this.blocks = [...this.blocks, { kind: 'turn', key: `t${id}`, turn: newTurn(id) }];
  }

  #update(id: string, change: (turn: LiveTurn) => LiveTurn): void {
    this.blocks = this.blocks.map((block) =>
      block.kind === 'turn' && block.turn.id === id ? { ...block, turn: change(block.turn) } : block,
    );
  }

  #unfollow(): void {
    this.#stream?.stream.close();
    this.#stream = null;
  }

  #follow(id: string): void {
    if (this.#stream?.id === id) return;
    this.#unfollow();
    clearTimeout(this.#resumeTimer);
    const stream = followTurn(
      id,
      (events) => this.#take(id, events),
      (isLost) => (this.isLost = isLost),
    );
    this.#stream = { id, stream };
  }

  #take(id: string, events: TurnEvent[]): void {
    this.#update(id, (turn) => reduce(turn, events));
    this.#announce(id);
    const end = events.find((event) => event.type === 'finished');
    if (end?.type !== 'finished') return;
    this.#unfollow();
    this.isLost = false;
    if (isOver(end.status)) {
      this.#tries = 0;
      void this.#settle(id);
    } else {
      void this.#loadApprovals(id).then(() => this.#resume(id));
    }
  }

  /** After an answer the turn may still be said to wait for a moment; look again until it goes on. */
  #resume(id: string): void {
    const turn = this.#turn(id);
    const isAsked = turn?.entries.some((entry) => entry.kind === 'approval' && entry.approval.state === 'waiting');
    if (turn === undefined || isAsked || this.#tries <= 0) return;
    this.#tries -= 1;
    this.#resumeTimer = setTimeout(() => this.#follow(id), RESUME_PAUSE_MS);
  }

  /** The whole record of a turn that is over: tokens, cost, outcomes. */
  async #settle(id: string): Promise<void> {
    try {
      const turn = await api.turn(id);
      this.#update(id, (live) => reduce(live, [{ type: 'snapshot', turn }]));
      this.#announce(id);
    } catch {
      // What was streamed is shown already; the record only adds to it.
    }
  }

  async #loadApprovals(id: string): Promise<void> {
    try {
      const all = (await api.approvals('all')).filter((one) => one.turn_id === id);
      const turn = this.#turn(id);
      for (const approval of all) {
        const isWaiting = approval.state === 'waiting';
        const isShown = turn?.entries.some((entry) => entry.kind === 'approval' && entry.approval.id === approval.id);
        if (isWaiting || isShown) this.#update(id, (live) => withApproval(live, approval));
      }
    } catch {
      // The approvals page and the next event show them; the chat itself is whole.
    }
  }

  #announce(id: string): void {
    const turn = this.#turn(id);
    if (turn === undefined) return;
    const whole = turn.entries.flatMap((entry, index) => {
      if (entry.kind !== 'text') return [];
      const blocks = splitBlocks(entry.text);
      const isGrowing = index === turn.entries.length - 1 && !isOver(turn.status);
      return isGrowing ? blocks.slice(0, -1) : blocks;
    });
    const said = this.#announced.get(id) ?? 0;
    if (whole.length <= said) return;
    this.#announced.set(id, whole.length);
    this.announcement = whole.slice(said).join('\n');
  }
}

function isAbout(fact: JournalFact, place: Place): boolean {
  return fact.session === place.name || fact.session === place.id;
}

/** A fresh id; `randomUUID` is missing on plain http. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The place of a session of the list; a message goes to the channel it lives on. */
export function placeOf(row: SessionRow): Place {
  return { id: row.id, name: row.name, agent: row.agent, channel: row.channel };
}

/** A new chat: its name is made here, its id by the server. */
export function newPlace(agent: string): Place {
  return { id: '', name: `web-${randomId().slice(0, 12)}`, agent, channel: 'web' };
}
