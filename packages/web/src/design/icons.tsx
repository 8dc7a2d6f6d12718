import type { ReactNode } from "react";

/** Drawn for this page on a 20 x 20 field, in the text's colour. They never carry meaning alone: the control around them has a name. */
function Icon({ children }: { readonly children: ReactNode }) {
  return (
    <svg className="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

export const KilnIcon = () => (
  <Icon>
    <path d="M3.5 17V9.5a6.5 6.5 0 0 1 13 0V17z" />
    <path
      className="icon-ember"
      d="M10.2 8.2c.3 2 2.6 2.7 2.6 5.3a2.8 2.8 0 0 1-5.6 0c0-1.2.6-1.9 1.3-2.6.1.7.5 1 .8 1.1-.1-1.5 0-2.8.9-3.8z"
    />
  </Icon>
);

export const DiceIcon = () => (
  <Icon>
    <rect x="3.5" y="3.5" width="13" height="13" rx="3" />
    <path className="icon-dots" d="M7.2 7.2h.01M12.8 7.2h.01M10 10h.01M7.2 12.8h.01M12.8 12.8h.01" />
  </Icon>
);

export const LockIcon = () => (
  <Icon>
    <rect x="4.5" y="9" width="11" height="7.5" rx="2" />
    <path d="M7 9V6.5a3 3 0 0 1 6 0V9" />
  </Icon>
);

export const UnlockIcon = () => (
  <Icon>
    <rect x="4.5" y="9" width="11" height="7.5" rx="2" />
    <path d="M7 9V6a3 3 0 0 1 5.8-1" />
  </Icon>
);

export const HeartIcon = () => (
  <Icon>
    <path d="M10 16.2S3.5 12.4 3.5 7.9A3.4 3.4 0 0 1 10 6.5a3.4 3.4 0 0 1 6.5 1.4c0 4.5-6.5 8.3-6.5 8.3z" />
  </Icon>
);

export const DownloadIcon = () => (
  <Icon>
    <path d="M10 3.5v8.7M6.5 9l3.5 3.5L13.5 9M4 16.5h12" />
  </Icon>
);

export const TrashIcon = () => (
  <Icon>
    <path d="M4 5.8h12M8 5.5V3.8h4v1.7M5.5 5.8l.7 10.7h7.6l.7-10.7M8.5 9v4.5M11.5 9v4.5" />
  </Icon>
);

/** Settings go back to where they came from. */
export const ReuseIcon = () => (
  <Icon>
    <path d="M7.5 4 4 7.5 7.5 11M4 7.5h8a4.25 4.25 0 0 1 0 8.5H8" />
  </Icon>
);

/** A picture that another grows out of. */
export const FromPictureIcon = () => (
  <Icon>
    <rect x="3" y="3" width="10" height="10" rx="2" />
    <path d="m3.5 11 3-3 3 3M16.8 8v6.8a2 2 0 0 1-2 2H8M10.3 14.5 8 16.8l2.3 2.3" />
  </Icon>
);

export const PictureIcon = () => (
  <Icon>
    <rect x="3" y="4" width="14" height="12" rx="2" />
    <path d="m3.5 14 4-4 3 3 2.5-2.5 3.5 3.5M12.5 7.5h.01" />
  </Icon>
);

export const SunIcon = () => (
  <Icon>
    <circle cx="10" cy="10" r="3" />
    <path d="M10 2.8v1.7M10 15.5v1.7M2.8 10h1.7M15.5 10h1.7M4.9 4.9l1.2 1.2M13.9 13.9l1.2 1.2M4.9 15.1l1.2-1.2M13.9 6.1l1.2-1.2" />
  </Icon>
);

export const MoonIcon = () => (
  <Icon>
    <path d="M15.8 12A6.5 6.5 0 0 1 8 4.2a6.3 6.3 0 1 0 7.8 7.8z" />
  </Icon>
);

/** Half light, half dark: as the system has it. */
export const SystemThemeIcon = () => (
  <Icon>
    <circle cx="10" cy="10" r="6.5" />
    <path className="icon-solid" d="M10 3.5a6.5 6.5 0 0 1 0 13z" />
  </Icon>
);

export const CloseIcon = () => (
  <Icon>
    <path d="m5 5 10 10M15 5 5 15" />
  </Icon>
);

export const ChevronIcon = () => (
  <Icon>
    <path d="m5.5 8 4.5 4.5L14.5 8" />
  </Icon>
);

export const SwapIcon = () => (
  <Icon>
    <path d="M4 7.5h11.5M12.5 4.5l3 3-3 3M16 13H4.5M7.5 10l-3 3 3 3" />
  </Icon>
);
