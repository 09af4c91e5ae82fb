// The types of Grafana's packages for a dashboard of JSON. The script check appends the dashboard.
import { Dashboard, DataQuery, FieldConfig, TableFieldOptions, TableOptions } from '@grafana/schema';
import { Panel } from './node_modules/@grafana/schema/dist/types/raw/dashboard/x/types.gen';
import * as StateTimeline from './node_modules/@grafana/schema/dist/types/raw/composable/statetimeline/panelcfg/x/types.gen';
import * as TimeSeries from './node_modules/@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen';
import { Prometheus } from './package/dist/types/dataquery';

// JSON has a text where TypeScript has a member of an enum.
type Json<T> = T extends string ? `${T}` : T extends (infer U)[] ? Json<U>[] : T extends object ? { [K in keyof T]: Json<T[K]> } : T;

type PanelOf<Type extends string, Options, Custom> = Json<Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets'>> & {
  type: Type;
  options: Json<Options>;
  targets: Json<Prometheus & DataQuery>[];
  fieldConfig: { defaults: Json<Omit<FieldConfig, 'custom'>> & { custom?: Json<Custom> }; overrides: [] };
};

type PrometheusDashboard = Json<Omit<Dashboard, 'panels'>> & {
  panels: (
    | PanelOf<'timeseries', TimeSeries.Options, TimeSeries.FieldConfig>
    | PanelOf<'state-timeline', StateTimeline.Options, StateTimeline.FieldConfig>
    | PanelOf<'table', TableOptions, Partial<TableFieldOptions>>
  )[];
};

export const dashboard: PrometheusDashboard =
