// Short names for the shapes of the server's answers. All of them are generated from the program (api/schema.d.ts), none is written here.
// Money is a decimal string in USD, times are RFC 3339 in UTC.
import type { components } from './api/schema';

type Schemas = components['schemas'];

export type Role = Schemas['Role'];
export type TurnStatus = Schemas['TurnStatus'];
export type Effect = Schemas['Effect'];
export type Outcome = NonNullable<Schemas['CallView']['outcome']>;
export type Scope = Schemas['Scope'];

export type Session = Schemas['WhoAmI'];
/** A tool call: as it begins, and what is known of its end. */
export type Call = Schemas['CallBegun'] & Partial<Schemas['CallView']>;
export type Step = Schemas['StepView'];
export type Turn = Schemas['TurnView'];
export type TurnRow = Schemas['TurnLine'];
export type StepContext = Schemas['ContextView'];
export type Approval = Schemas['ApprovalView'];
export type SessionRow = Schemas['SessionLine'];
export type Message = Schemas['MessageView'];
export type Agent = Schemas['AgentLine'];
export type Today = Schemas['Today'];
export type Model = Schemas['ModelLine'];
export type Route = Schemas['RouteLine'];
export type Provider = Schemas['ProviderLine'];
export type ProviderTest = Schemas['ProviderTest'];
export type Spend = Schemas['SpendReport'];
export type Key = Schemas['KeyLine'];
export type NewKey = Schemas['CreatedKey'];
export type KeyWish = Schemas['NewKey'];
export type Config = Schemas['ConfigFile'];
export type DoctorCheck = Schemas['DoctorCheck'];
export type Undone = Schemas['Undone'];
export type Explanation = Schemas['Explanation'];

/** What a turn in view sends while it goes on. */
export type TurnEvent = Schemas['TurnEvent'];

/** A small fact from the journal, the same for every open page. */
export type JournalFact = Schemas['Fact'];
